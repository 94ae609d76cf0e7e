"""Asterisk in the place of Trunkline in `scripts/capacity --asterisk ROOT`: the same calls, the same generator, the same core.

Writes a configuration with PJSIP and a dial plan that does what the built-in load flows do, with a prompt in the codec of the calls. Everything
is kept in a scratch folder; nothing of an installed Asterisk is changed.
"""

import math
import pathlib
import struct

MODULES = "/usr/lib/{arch}-linux-gnu/asterisk/modules"

MAIN = """
[directories](!)
astetcdir => {inside}
astmoddir => {modules}
astvarlibdir => {inside}
astdbdir => {inside}
astkeydir => {inside}
astdatadir => /usr/share/asterisk
astagidir => {inside}
astspooldir => {inside}
astrundir => {inside}
astlogdir => {inside}
[options]
verbose = 0
maxfiles = {files}
"""

PJSIP = """
[global]
type=global
endpoint_identifier_order=ip
[udp]
type=transport
protocol=udp
bind={server}:5060
[load]
type=endpoint
transport=udp
context=load
disallow=all
allow=ulaw
direct_media=no
dtmf_mode={dtmf}
rtp_symmetric=yes
[load]
type=identify
endpoint=load
match=127.61.0.0/16
[far]
type=aor
contact=sip:49301@{far}:5070
[far]
type=endpoint
transport=udp
context=load
disallow=all
allow=ulaw
direct_media=no
dtmf_mode=rfc4733
aors=far
"""

DIALPLAN = """
[load]
exten => ivr,1,Answer()
 same => n(loop),Read(KEY,{inside}/prompt,1,,1,1)
 same => n,ExecIf($["${{KEY}}"!=""]?Playback({inside}/answer))
 same => n,Goto(loop)
exten => 49301,1,Dial(PJSIP/far)
exten => hall,1,Answer()
 same => n,ConfBridge(hall)
exten => _room.,1,Answer()
 same => n,ConfBridge(${{EXTEN}})
"""

CONFERENCES = """
[general]
[default_bridge]
type=bridge
max_members=5000
[default_user]
type=user
quiet=yes
"""


def mu_law(sample):
    """ITU-T G.711, table 2a, of a sample of 16 bits."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def write_configuration(root, scratch, server, far, dtmf, prompt, files, arch):
    """Writes everything into `scratch`, a folder below `root`. Returns the command that starts Asterisk."""
    inside = "/" + str(scratch.relative_to(root))
    words = {"inside": inside, "server": server, "far": far, "files": files, "modules": MODULES.format(arch=arch)}
    words["dtmf"] = "inband" if dtmf == "inband" else "rfc4733"
    texts = {"asterisk": MAIN, "pjsip": PJSIP, "extensions": DIALPLAN, "confbridge": CONFERENCES}
    texts["modules"] = "[modules]\nautoload=yes\n"
    texts["rtp"] = "[general]\nrtpstart=10000\nrtpend=60000\n"
    texts["logger"] = "[general]\n[logfiles]\nconsole => warning,error\n"
    for name, text in texts.items():
        (scratch / f"{name}.conf").write_text(text.format(**words))
    wide = struct.iter_unpack("<h", pathlib.Path(prompt).read_bytes())
    samples = [sample for (sample,) in wide]
    narrow = [(one + two) // 2 for one, two in zip(samples[::2], samples[1::2])]
    (scratch / "prompt.ulaw").write_bytes(bytes(map(mu_law, narrow)))
    tone = (int(14_000 * math.cos(math.pi * n)) for n in range(800))
    (scratch / "answer.ulaw").write_bytes(bytes(map(mu_law, tone)))
    chroot = [] if str(root) == "/" else ["chroot", str(root)]
    return chroot + ["asterisk", "-f", "-C", f"{inside}/asterisk.conf"]
