"""The WebRTC transport: ICE-lite, DTLS, SRTP and SDP on one UDP port, for viewers and publishers."""
