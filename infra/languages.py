"""Languages of sound: the three letters of a transport stream as the tags that playlists carry.

Invariant: a tag is well-formed by RFC 5646 and in its shortest form (two letters where ISO 639 has
two), so it may stand in a playlist whatever a publisher sent; nothing raises. Pure.

Upstream: `hotpath.media.streams`. Downstream: `infra.audio_group`. Codes: ISO 639-2, both kinds
(terminological, then bibliographic where it differs); names: English, as Unicode CLDR has them.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

_ROWS = """\
aa aar Afar
ab abk Abkhazian
ae ave Avestan
af afr Afrikaans
ak aka Akan
am amh Amharic
an arg Aragonese
ar ara Arabic
as asm Assamese
av ava Avaric
ay aym Aymara
az aze Azerbaijani
ba bak Bashkir
be bel Belarusian
bg bul Bulgarian
bh bih Bihari
bi bis Bislama
bm bam Bambara
bn ben Bangla
bo bod/tib Tibetan
br bre Breton
bs bos Bosnian
ca cat Catalan
ce che Chechen
ch cha Chamorro
co cos Corsican
cr cre Cree
cs ces/cze Czech
cu chu Church Slavic
cv chv Chuvash
cy cym/wel Welsh
da dan Danish
de deu/ger German
dv div Divehi
dz dzo Dzongkha
ee ewe Ewe
el ell/gre Greek
en eng English
eo epo Esperanto
es spa Spanish
et est Estonian
eu eus/baq Basque
fa fas/per Persian
ff ful Fula
fi fin Finnish
fj fij Fijian
fo fao Faroese
fr fra/fre French
fy fry Western Frisian
ga gle Irish
gd gla Scottish Gaelic
gl glg Galician
gn grn Guarani
gu guj Gujarati
gv glv Manx
ha hau Hausa
he heb Hebrew
hi hin Hindi
ho hmo Hiri Motu
hr hrv Croatian
ht hat Haitian Creole
hu hun Hungarian
hy hye/arm Armenian
hz her Herero
ia ina Interlingua
id ind Indonesian
ie ile Interlingue
ig ibo Igbo
ii iii Sichuan Yi
ik ipk Inupiaq
io ido Ido
is isl/ice Icelandic
it ita Italian
iu iku Inuktitut
ja jpn Japanese
jv jav Javanese
ka kat/geo Georgian
kg kon Kongo
ki kik Kikuyu
kj kua Kuanyama
kk kaz Kazakh
kl kal Kalaallisut
km khm Khmer
kn kan Kannada
ko kor Korean
kr kau Kanuri
ks kas Kashmiri
ku kur Kurdish
kv kom Komi
kw cor Cornish
ky kir Kyrgyz
la lat Latin
lb ltz Luxembourgish
lg lug Ganda
li lim Limburgish
ln lin Lingala
lo lao Lao
lt lit Lithuanian
lu lub Luba-Katanga
lv lav Latvian
mg mlg Malagasy
mh mah Marshallese
mi mri/mao Māori
mk mkd/mac Macedonian
ml mal Malayalam
mn mon Mongolian
mr mar Marathi
ms msa/may Malay
mt mlt Maltese
my mya/bur Burmese
na nau Nauru
nb nob Norwegian Bokmål
nd nde North Ndebele
ne nep Nepali
ng ndo Ndonga
nl nld/dut Dutch
nn nno Norwegian Nynorsk
no nor Norwegian
nr nbl South Ndebele
nv nav Navajo
ny nya Nyanja
oc oci Occitan
oj oji Ojibwa
om orm Oromo
or ori Odia
os oss Ossetic
pa pan Punjabi
pi pli Pali
pl pol Polish
ps pus Pashto
pt por Portuguese
qu que Quechua
rm roh Romansh
rn run Rundi
ro ron/rum Romanian
ru rus Russian
rw kin Kinyarwanda
sa san Sanskrit
sc srd Sardinian
sd snd Sindhi
se sme Northern Sami
sg sag Sango
si sin Sinhala
sk slk/slo Slovak
sl slv Slovenian
sm smo Samoan
sn sna Shona
so som Somali
sq sqi/alb Albanian
sr srp Serbian
ss ssw Swati
st sot Southern Sotho
su sun Sundanese
sv swe Swedish
sw swa Swahili
ta tam Tamil
te tel Telugu
tg tgk Tajik
th tha Thai
ti tir Tigrinya
tk tuk Turkmen
tl tgl Tagalog
tn tsn Tswana
to ton Tongan
tr tur Turkish
ts tso Tsonga
tt tat Tatar
tw twi Twi
ty tah Tahitian
ug uig Uyghur
uk ukr Ukrainian
ur urd Urdu
uz uzb Uzbek
ve ven Venda
vi vie Vietnamese
vo vol Volapük
wa wln Walloon
wo wol Wolof
xh xho Xhosa
yi yid Yiddish
yo yor Yoruba
za zha Zhuang
zh zho/chi Chinese
zu zul Zulu"""

_LETTERS = re.compile(r"[a-z]{3}")
_UNKNOWN = frozenset({"und", "mis"})
"""Undetermined, and a language without a code: both say nothing."""


def _tables() -> tuple[dict[str, str], dict[str, str]]:
    tags: dict[str, str] = {}
    names: dict[str, str] = {}
    for row in _ROWS.split("\n"):
        tag, codes, name = row.split(" ", 2)
        names[tag] = name
        tags.update(dict.fromkeys(codes.split("/"), tag))
    return tags, names


_tags, _names = _tables()
TAGS: Mapping[str, str] = MappingProxyType(_tags)
"""Three letters to two."""
NAMES: Mapping[str, str] = MappingProxyType(_names)
"""By tag of two letters."""


def language_tag(code: str) -> str:
    """The RFC 5646 tag of an ISO 639-2 code; empty where it names no language."""
    lowered = code.lower()
    if not _LETTERS.fullmatch(lowered) or lowered in _UNKNOWN:
        return ""
    return TAGS.get(lowered, lowered)


def language_name(tag: str) -> str:
    """The language's English name; empty where there is none in the table."""
    return NAMES.get(tag, "")
