"""A CDN stand-in: Varnish in front of the LL-HLS origin. It shares no code with the planes."""
