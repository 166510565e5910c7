"""RTP packets to whole H.264 frames."""

from infra.demo.frames import CodedFrame, FrameAssembler, PacketCount

START = bytes([0, 0, 0, 1])
SPS, PPS = b"\x67sps", b"\x68pps"
PARAMETERS = b"\x78" + b"".join(len(x).to_bytes(2, "big") + x for x in (SPS, PPS))
IDR, SLICE = b"\x65idr", b"\x41p"


def fragments(unit: bytes) -> list[bytes]:
    """FU-A, one byte of the unit in each."""
    kind, body = unit[0], unit[1:]
    flags = [0x80 * (n == 0) | 0x40 * (n == len(body) - 1) for n in range(len(body))]
    return [
        bytes([kind & 0xE0 | 28, flag | kind & 31, byte])
        for flag, byte in zip(flags, body, strict=True)
    ]


class Sender:
    def __init__(self, assembler: FrameAssembler, first: int = 65_530) -> None:
        self.assembler, self.sequence, self.timestamp = assembler, first, 0

    def frame(self, *payloads: bytes, lose: int | None = None) -> CodedFrame | None:
        """Send a frame whose packet number `lose` does not arrive."""
        found = None
        self.timestamp += 3000
        for number, payload in enumerate(payloads):
            if number != lose:
                found = self.assembler.receive(
                    self.sequence % 65_536,
                    self.timestamp,
                    payload,
                    number,
                    marker=number == len(payloads) - 1,
                )
            self.sequence += 1
        return found


def test_a_keyframe_comes_out_whole_with_the_time_of_its_last_packet() -> None:
    sender = Sender(FrameAssembler())
    frame = sender.frame(PARAMETERS, *fragments(IDR))
    assert frame is not None
    assert frame.keyframe
    assert frame.data == START + SPS + START + PPS + START + IDR
    assert frame.received_ns == 3


def test_nothing_comes_before_the_first_keyframe() -> None:
    sender = Sender(FrameAssembler())
    assert sender.frame(SLICE) is None
    assert sender.frame(PARAMETERS, IDR) is not None
    assert sender.frame(SLICE) is not None


def test_sequence_numbers_wrap_without_loss() -> None:
    sender = Sender(FrameAssembler(), first=65_534)
    frames = [sender.frame(PARAMETERS, IDR), *(sender.frame(SLICE) for _ in range(5))]
    assert None not in frames
    assert sender.assembler.count.lost == 0


def test_after_a_loss_it_waits_for_a_keyframe_and_counts() -> None:
    sender = Sender(FrameAssembler())
    sender.frame(PARAMETERS, IDR)
    assert sender.frame(*fragments(b"\x41abc"), lose=1) is None
    assert sender.frame(SLICE) is None
    assert sender.frame(PARAMETERS, *fragments(IDR), lose=2) is None
    assert sender.frame(SLICE) is None
    assert sender.frame(PARAMETERS, IDR) is not None
    assert sender.assembler.count.lost == 2


def test_a_keyframe_without_its_first_packet_is_no_keyframe() -> None:
    sender = Sender(FrameAssembler())
    sender.frame(PARAMETERS, IDR)
    assert sender.frame(PARAMETERS, b"\x41other", *fragments(IDR), lose=1) is None


def test_what_cannot_be_read_costs_its_frame_alone() -> None:
    sender = Sender(FrameAssembler())
    sender.frame(PARAMETERS, IDR)
    assert sender.frame(b"\x78\xff\xff") is None
    assert sender.assembler.unreadable == 1
    assert sender.frame(SLICE) is not None


def test_repeated_and_late_packets_are_no_loss() -> None:
    count = PacketCount()
    for sequence in (65_535, 1, 0, 1, 2):
        count.receive(sequence)
    assert count.lost == 0
