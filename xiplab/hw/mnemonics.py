"""The instructions that the assembler knows: format, operation code, mnemonic.

A format has operands, as they are written, and a layout, one letter for each four bits:

    o  operation code          r s t  registers           m      mask
    d  displacement            h      its upper 8 bits    x b    index and base register
    e c  those of a second operand in storage             l k    lengths, less one
    i j v  immediate values    n      distance in halfwords          0  zero

An operand names its letters; after a colon the range of its values: u8 is 0 to 255, s16 is -32768 to
32767. `dxb` is written D(X,B), `db` D(B), `dlb` D(L,B).
Kernel: none (the Principles of Operation)
"""

from __future__ import annotations

FORMATS = {
    "E": ("", "oooo"),
    "I": ("i:u8", "ooii"),
    "RR": ("r s", "oors"),
    "RRm": ("m s", "ooms"),
    "RR1": ("r", "oor0"),
    "RRE": ("r s", "oooo00rs"),
    "RRE1": ("r", "oooo00r0"),
    "RRFa": ("r s t", "oooot0rs"),
    "RRFc": ("r s m", "oooom0rs"),
    "RRFe": ("r m s", "oooom0rs"),
    "RX": ("r dxb", "oorxbddd"),
    "RXm": ("m dxb", "oomxbddd"),
    "RXE": ("r dxb", "oorxbddd00oo"),
    "RXY": ("r dhxb", "oorxbdddhhoo"),
    "RS": ("r t db", "oortbddd"),
    "RSs": ("r db", "oor0bddd"),
    "RSm": ("r m db", "oormbddd"),
    "RSI": ("r t n:s16", "oortnnnn"),
    "RSY": ("r t dhb", "oortbdddhhoo"),
    "RSYm": ("r m dhb", "oormbdddhhoo"),
    "RIs": ("r i:s16", "ooroiiii"),
    "RIu": ("r i:u16", "ooroiiii"),
    "RIn": ("r n:s16", "ooronnnn"),
    "RIm": ("m n:s16", "oomonnnn"),
    "RILs": ("r i:s32", "ooroiiiiiiii"),
    "RILu": ("r i:u32", "ooroiiiiiiii"),
    "RILn": ("r n:s32", "ooronnnnnnnn"),
    "RILm": ("m n:s32", "oomonnnnnnnn"),
    "RIEa": ("r i:s16 m", "oor0iiiim0oo"),
    "RIEb": ("r s m n:s16", "oorsnnnnm0oo"),
    "RIEc": ("r i:s8 m n:s16", "oormnnnniioo"),
    "RIEl": ("r i:u8 m n:s16", "oormnnnniioo"),
    "RIEd": ("r t i:s16", "oortiiii00oo"),
    "RIEe": ("r t n:s16", "oortnnnn00oo"),
    "RIEf": ("r s i:u8 j:u8 v:u8", "oorsiijjvvoo"),
    "S": ("db", "oooobddd"),
    "SI": ("db i:u8", "ooiibddd"),
    "SI0": ("db", "oo00bddd"),
    "SIYu": ("dhb i:u8", "ooiibdddhhoo"),
    "SIYs": ("dhb i:s8", "ooiibdddhhoo"),
    "SILs": ("db i:s16", "oooobdddiiii"),
    "SILu": ("db i:u16", "oooobdddiiii"),
    "SS": ("dlb ec", "oollbdddceee"),
    "SSl": ("dlb ekc", "oolkbdddceee"),
}

TABLE = """
E     0101 pr
I     0A svc
RR    05 balr   06 bctr   0B bsm    0C bassm  0D basr   0E mvcl   0F clcl   10 lpr    11 lnr    12 ltr
RR    13 lcr    14 nr     15 clr    16 or     17 xr     18 lr     19 cr     1A ar     1B sr     1C mr
RR    1D dr     1E alr    1F slr    28 ldr    38 ler
RRm   07 bcr
RR1   04 spm
RRE   B222 ipm  B24E sar  B24F ear  B24D cpya B252 msr  B255 mvst B25D clst B25E srst B900 lpgr B901 lngr
RRE   B902 ltgr B903 lcgr B904 lgr  B906 lgbr B907 lghr B908 agr  B909 sgr  B90A algr B90B slgr B90C msgr
RRE   B90D dsgr B90F lrvgr B914 lgfr B916 llgfr B917 llgtr B918 agfr B919 sgfr B91A algfr B91B slgfr
RRE   B91C msgfr B91D dsgfr B91F lrvr B920 cgr B921 clgr B926 lbr B927 lhr B930 cgfr B931 clgfr B946 bctgr
RRE   B980 ngr  B981 ogr  B982 xgr  B983 flogr B984 llgcr B985 llghr B986 mlgr B987 dlgr B988 alcgr
RRE   B989 slbgr B98D epsw B994 llcr B995 llhr B996 mlr B997 dlr B998 alcr B999 slbr B9E1 popcnt
RRE   B319 cdbr B31A adbr B31B sdbr B31C mdbr B31D ddbr B315 sqdbr B3A5 cdgbr B3C1 ldgr B3CD lgdr
RRFa  B9E4 ngrk B9E6 ogrk B9E7 xgrk B9E8 agrk B9E9 sgrk B9F4 nrk B9F6 ork B9F7 xrk B9F8 ark B9F9 srk
RRFc  B9E2 locgr B9F2 locr
RRFe  B3A9 cgdbr
RX    40 sth    41 la     42 stc    43 ic     44 ex     45 bal    46 bct    48 lh     49 ch     4A ah
RX    4B sh     4C mh     4D bas    4E cvd    4F cvb    50 st     51 lae    54 n      55 cl     56 o
RX    57 x      58 l      59 c      5A a      5B s      5C m      5D d      5E al     5F sl     60 std
RX    68 ld     70 ste    71 ms     78 le
RXm   47 bc
RXE   ED19 cdb  ED1A adb  ED1B sdb  ED1C mdb  ED1D ddb
RXY   E302 ltg  E303 lrag E304 lg   E308 ag   E309 sg   E30A alg  E30B slg  E30C msg  E30D dsg  E30F lrvg
RXY   E312 lt   E314 lgf  E315 lgh  E316 llgf E317 llgt E318 agf  E319 sgf  E31C msgf E31D dsgf E31E lrv
RXY   E320 cg   E321 clg  E324 stg  E32F strvg E330 cgf E331 clgf E334 cgh  E33E strv E33F strvh E346 bctg
RXY   E350 sty  E354 ny   E355 cly  E356 oy   E357 xy   E358 ly   E359 cy   E35A ay   E35B sy   E370 sthy
RXY   E371 lay  E372 stcy E373 icy  E376 lb   E377 lgb  E378 lhy  E37A ahy  E380 ng   E381 og   E382 xg
RXY   E386 mlg  E387 dlg  E388 alcg E389 slbg E390 llgc E391 llgh E394 llc  E395 llh  E397 dl   E398 alc
RS    83 diag   86 bxh    87 bxle   90 stm    98 lm     9A lam    9B stam   A8 mvcle  A9 clcle  AE sigp
RS    B6 stctl  B7 lctl   BA cs     BB cds
RSs   88 srl    89 sll    8A sra    8B sla    8C srdl   8D sldl   8E srda   8F slda
RSm   BD clm    BE stcm   BF icm
RSI   84 brxh   85 brxle
RSY   EB04 lmg  EB0A srag EB0B slag EB0C srlg EB0D sllg EB14 csy  EB1C rllg EB1D rll  EB24 stmg EB26 stmh
RSY   EB30 csg  EB3E cdsg EB90 stmy EB96 lmh  EB98 lmy  EBE8 laag EBF4 lan  EBF6 lao  EBF7 lax  EBF8 laa
RSYm  EB2C stcmh EB2D stcmy EB80 icmh EB81 icmy
RIs   A78 lhi   A79 lghi  A7A ahi   A7B aghi  A7C mhi   A7D mghi  A7E chi   A7F cghi
RIu   A50 iihh  A51 iihl  A52 iilh  A53 iill  A54 nihh  A55 nihl  A56 nilh  A57 nill  A58 oihh  A59 oihl
RIu   A5A oilh  A5B oill  A5C llihh A5D llihl A5E llilh A5F llill A70 tmlh  A71 tmll  A72 tmhh  A73 tmhl
RIn   A75 bras  A76 brct  A77 brctg
RIm   A74 brc
RILs  C01 lgfi  C20 msgfi C21 msfi  C28 agfi  C29 afi   C2C cgfi  C2D cfi
RILu  C06 xihf  C07 xilf  C08 iihf  C09 iilf  C0A nihf  C0B nilf  C0C oihf  C0D oilf  C0E llihf C0F llilf
RILu  C24 slgfi C25 slfi  C2A algfi C2B alfi  C2E clgfi C2F clfi
RILn  C00 larl  C05 brasl C44 lghrl C48 lgrl  C4B stgrl C4C lgfrl C4D lrl   C4E llgfrl C4F strl C60 exrl
RILn  C68 cgrl  C6A clgrl C6D crl   C6F clrl
RILm  C04 brcl
RIEa  EC70 cgit EC72 cit
RIEb  EC64 cgrj EC65 clgrj EC76 crj EC77 clrj
RIEc  EC7C cgij EC7E cij
RIEl  EC7D clgij EC7F clij
RIEd  ECD8 ahik ECD9 aghik
RIEe  EC44 brxhg EC45 brxlg
RIEf  EC54 rnsbg EC55 risbg EC56 rosbg EC57 rxsbg
S     B202 stidp B205 stck B20A spka B278 stcke B27C stckf B29C stfpc B29D lfpc B2B0 stfle B2B2 lpswe
SI    91 tm     92 mvi    94 ni     95 cli    96 oi     97 xi
SI0   80 ssm    82 lpsw   93 ts
SIYu  EB51 tmy  EB52 mviy EB54 niy  EB55 cliy EB56 oiy  EB57 xiy
SIYs  EB6A asi  EB6E alsi EB7A agsi EB7E algsi
SILs  E544 mvhhi E548 mvghi E54C mvhi E554 chhsi E558 cghsi E55C chsi
SILu  E555 clhhsi E559 clghsi E55D clfhsi
SS    D1 mvn    D2 mvc    D3 mvz    D4 nc     D5 clc    D6 oc     D7 xc     DC tr     DD trt    DE ed
SS    E8 mvcin
SSl   F1 mvo    F2 pack   F3 unpk   F8 zap    F9 cp     FA ap     FB sp     FC mp     FD dp
"""

ONE_REGISTER = ("ipm",)
"""Written with one operand although their format has two."""

CONDITIONS = {"o": 1, "h": 2, "p": 2, "nle": 3, "l": 4, "m": 4, "nhe": 5, "lh": 6, "ne": 7, "nz": 7, "e": 8,
              "z": 8, "nlh": 9, "he": 10, "nl": 11, "nm": 11, "le": 12, "nh": 13, "np": 13, "no": 14, "": 15}
"""What a branch is named after: the mask of the condition codes on which it is taken."""
COMPARISONS = {"h": 2, "nle": 2, "l": 4, "nhe": 4, "ne": 6, "lh": 6, "e": 8, "nlh": 8, "nl": 10, "he": 10,
               "nh": 12, "le": 12}
EXTENDED = {"b{}": ("bc", CONDITIONS), "b{}r": ("bcr", CONDITIONS), "j{}": ("brc", CONDITIONS),
            "jg{}": ("brcl", CONDITIONS), "nop": ("bc", {"": 0}), "nopr": ("bcr", {"": 0}),
            **{name + "{}": (name, COMPARISONS)
               for name in ("crj", "cgrj", "clrj", "clgrj", "cij", "cgij", "clij", "clgij", "cit", "cgit")},
            **{name + "{}": (name, CONDITIONS) for name in ("locr", "locgr")}}
"""Mnemonics that contain their mask: the pattern, the instruction, its masks."""
SYNONYMS = {"jas": "bras", "jasl": "brasl", "jct": "brct", "jctg": "brctg"}


def instructions() -> dict[str, tuple[str, int, int | None]]:
    """By mnemonic: format, operation code, and the mask that the mnemonic itself gives."""
    table: dict[str, tuple[str, int, int | None]] = {}
    for line in TABLE.strip().splitlines():
        form, *words = line.split()
        for code, name in zip(words[::2], words[1::2], strict=True):
            table[name] = ("RRE1" if name in ONE_REGISTER else form, int(code, 16), None)
    for pattern, (name, masks) in EXTENDED.items():
        form, opcode, _ = table[name]
        table |= {pattern.format(condition): (form, opcode, mask) for condition, mask in masks.items()
                  if pattern.format(condition) != name}
    return table | {name: table[meaning] for name, meaning in SYNONYMS.items()}
