"""From the bus to thousands of WebRTC viewers: packetize once, encrypt per viewer in C."""
