"""What programs open at run time though no file says so: one table of features, each with its evidence.

Shared libraries are the closure's work (elf/); this is the data beside them: certificates, time zones, locales, plug-ins. A
recipe's `prune.features` names the features that an image gets; without it, it gets those that a network service needs, each
where its trigger is met. Evidence is that of ELF.md section 3, and tests/docker/test_features.py shows it in images: a probe of
each feature fails without its files and passes with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class When(StrEnum):
    """What brings a feature in where no recipe names it."""

    ALWAYS = "always"
    LOADED = "loaded"
    IMPORTS = "imports"
    EXTENSION = "extension"
    ASKED = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Files that belong together; what `names` are depends on `when`: base names of loaded libraries, symbols, modules.

    `files` are patterns over absolute paths, `but` what they leave out; they know {triplet}, {openssldir} and {modulesdir} (of
    each libcrypto that is loaded). Of `links`, (name, target), a name that is not there is made where its target is. Without a
    match of `required` the feature is missing; without patterns it never is. `packages` are Debian's that have the files. Files
    of a pattern come from the first supply that has any, and not where the image has any; with `every`, from all. `of_glibc`: only
    from the very build of glibc that the image runs on. A feature that is `fixed` no recipe can switch off.
    """

    name: str
    text: str
    breaks: str
    evidence: str
    when: When
    names: tuple[str, ...] = ()
    default: bool = False
    fixed: bool = False
    files: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    required: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    every: bool = False
    of_glibc: bool = False


BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ZONES = "/usr/share/zoneinfo"
# Of ncurses-base what terminals and multiplexers of today call themselves.
_TERMINALS = (
    "{ansi,dumb,linux,rxvt-unicode,rxvt-unicode-256color,screen,screen-256color,screen.xterm-256color,tmux,tmux-256color,"
    "vt100,vt102,vt220,xterm,xterm-256color}"
)

FEATURES = (
    Feature(
        name="libgcc_s",
        text="glibc opens libgcc_s.so.1 when a thread ends by pthread_exit, and aborts without it",
        breaks="ending a thread: the process aborts",
        evidence="without it: 'libgcc_s.so.1 must be installed for pthread_exit to work'; CPython itself imports pthread_exit",
        when=When.ALWAYS,
        fixed=True,
        libraries=("libgcc_s.so.1",),
    ),
    Feature(
        name="ca",
        text="certificates of authorities, where OpenSSL looks for them",
        breaks="ssl.create_default_context() trusts nobody",
        evidence="0 certificates without, 144 with cert.pem at the OPENSSLDIR that libcrypto names",
        when=When.LOADED,
        names=("libcrypto[-.]*",),
        default=True,
        files=(BUNDLE, "{openssldir}/cert.pem"),
        links=(("{openssldir}/cert.pem", BUNDLE),),
        required=(BUNDLE, "{openssldir}/cert.pem"),
        packages=("ca-certificates",),
    ),
    Feature(
        name="find_library",
        text="ctypes.util.find_library asks /sbin/ldconfig -p",
        breaks="ctypes.util.find_library() answers None",
        evidence="without ldconfig, gcc and ld it answers None for libc itself; it starts no shell since CPython 3.6",
        when=When.EXTENSION,
        names=("_ctypes",),
        default=True,
    ),
    Feature(
        name="gconv",
        text="character sets of iconv beside UTF-8 and ASCII",
        breaks="iconv_open() for ISO-8859-1, CP1252, UTF-16 and the like; Python's own codecs need no gconv",
        evidence="iconv_open fails for all but UTF-8 and ASCII without the modules and gconv-modules",
        when=When.IMPORTS,
        names=("iconv_open",),
        default=True,
        files=("/usr/lib/{triplet}/gconv/{ANSI_X3.110,CP1252,ISO8859-1,ISO8859-15,UNICODE,UTF-16,UTF-32,UTF-7}.so",),
        required=("/usr/lib/{triplet}/gconv/UTF-16.so",),
        of_glibc=True,
    ),
    Feature(
        name="kerberos",
        text="plug-ins and configuration of MIT Kerberos",
        breaks="pre-authentication by SPAKE, mechanisms of GSSAPI beside krb5; not logins by password to PostgreSQL",
        evidence="libkrb5 and libgssapi_krb5 name these folders; libpq imports gss_init_sec_context",
        when=When.ASKED,
        files=(
            "/usr/lib/{triplet}/krb5/plugins/**",
            "/usr/lib/{triplet}/gss/*.so",
            "/etc/krb5.conf",
            "/etc/gss/mech.d/*.conf",
        ),
        required=("/usr/lib/{triplet}/krb5/plugins/**/*.so", "/etc/krb5.conf"),
        packages=("libgssapi-krb5-2", "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0"),
        every=True,
    ),
    Feature(
        name="locale",
        text="the locale C.UTF-8",
        breaks="setlocale(LC_ALL, 'C.UTF-8'), and C programs in UTF-8; Python itself is in UTF-8 without it (PEP 538, 540)",
        evidence="setlocale fails without /usr/lib/locale/C.utf8 (367,493 bytes), and works with it",
        when=When.ALWAYS,
        default=True,
        files=("/usr/lib/locale/C.utf8/**", "/usr/lib/locale/C.UTF-8/**"),
        required=("/usr/lib/locale/C.utf8/LC_CTYPE", "/usr/lib/locale/C.UTF-8/LC_CTYPE"),
        packages=("libc-bin",),
    ),
    Feature(
        name="nss",
        text="names of users, hosts, services and protocols",
        breaks="getservbyname(); before glibc 2.34 also getaddrinfo() and getpwuid()",
        evidence="glibc 2.31 without libnss_files: getaddrinfo says EBUSY, getpwuid KeyError; 2.34 has files and dns inside",
        when=When.ALWAYS,
        default=True,
        files=("/etc/services", "/etc/protocols"),
        packages=("netbase",),
    ),
    Feature(
        name="openssl_legacy",
        text="OpenSSL's legacy provider and its configuration",
        breaks="MD4, RC4, Blowfish; cryptography built from source does not import",
        evidence="OSSL_PROVIDER_load('legacy') fails without ossl-modules/legacy.so, and md4 is unknown; both work with it",
        when=When.LOADED,
        names=("libcrypto.so.3",),
        default=True,
        files=("{modulesdir}/legacy.so", "{openssldir}/openssl.cnf"),
        required=("{modulesdir}/legacy.so",),
        packages=("openssl-provider-legacy",),
    ),
    Feature(
        name="pkcs11",
        text="modules of p11-kit and their configuration",
        breaks="tokens and the trust module of GnuTLS and p11-kit",
        evidence="p11_kit_modules_load_and_initialize finds no module without them",
        when=When.ASKED,
        files=(
            "/usr/lib/{triplet}/pkcs11/*.so",
            "/usr/share/p11-kit/modules/*.module",
            "/etc/pkcs11/**",
        ),
        required=("/usr/share/p11-kit/modules/*.module", "/etc/pkcs11/modules/*"),
        packages=("libp11-kit0", "libtasn1-6", "p11-kit", "p11-kit-modules"),
        every=True,
    ),
    Feature(
        name="sasl",
        text="mechanisms of Cyrus SASL",
        breaks="SASL logins of libldap; not SCRAM with PostgreSQL, which libpq does itself",
        evidence="libsasl2 lists no mechanism but EXTERNAL without sasl2/*.so",
        when=When.ASKED,
        files=("/usr/lib/{triplet}/sasl2/*.so*", "/usr/lib/sasl2/*.conf", "/etc/sasl2/*.conf"),
        required=("/usr/lib/{triplet}/sasl2/*.so*",),
        packages=("libsasl2-2", "libsasl2-modules"),
        every=True,
    ),
    Feature(
        name="terminfo",
        text="descriptions of terminals for curses and readline",
        breaks="curses.setupterm(), and line editing on a terminal",
        evidence="setupterm: could not find terminal without /lib/terminfo/x/xterm, works with it",
        when=When.EXTENSION,
        names=("_curses", "readline"),
        default=True,
        files=tuple(f"{place}/terminfo/?/{_TERMINALS}" for place in ("/etc", "/lib", "/usr/share")),
        required=tuple(f"{place}/terminfo/x/xterm" for place in ("/etc", "/lib", "/usr/share")),
        packages=("ncurses-base",),
    ),
    Feature(
        name="tz",
        text="time zones",
        breaks="zoneinfo.ZoneInfo('Europe/Paris'); TZ=Europe/Paris is UTC without a word",
        evidence="zoneinfo fails and TZ gives ('Europe', 'Europe') without the file, both right with it",
        when=When.ALWAYS,
        default=True,
        files=(f"{ZONES}/**", "/etc/localtime"),
        # The same zones again, with leap seconds or under another name, and the sources.
        but=(f"{ZONES}/{{right,posix,localtime,tzdata.zi,leapseconds,leap-seconds.list}}",),
        required=(f"{ZONES}/**",),
        packages=("tzdata",),
    ),
)

_BY_NAME = {feature.name: feature for feature in FEATURES}
NAMES = tuple(sorted(feature.name for feature in FEATURES if not feature.fixed))
DEFAULTS = tuple(sorted(feature.name for feature in FEATURES if feature.default))


def feature(name: str) -> Feature:
    """The row of a name that the schema admits."""
    return _BY_NAME[name]


def packages_of(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Debian packages that features need; None means the default ones."""
    return tuple(sorted({each for name in (DEFAULTS if names is None else names) for each in feature(name).packages}))
