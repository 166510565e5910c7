"""Whether a low-latency HLS server keeps the rules, as far as they can be seen from outside.

A black box: nothing here knows this project's own server. `observe` watches a programme, `rules`
judges what it saw, `report` says so in words.
"""
