"""The WebRTC transport on one port: ICE-lite, DTLS, SRTP and SDP, for viewers and publishers."""
