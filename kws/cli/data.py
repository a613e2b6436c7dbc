"""Commands of the `data` group."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from kws.cli import data_app
from kws.cli.shared_options import Partial, Resample


def as_seed(text: str) -> int | str:
    """A whole number, or a text, which is kept secret."""
    return int(text) if text.lstrip("-").isdecimal() else text


def report(out: Path, make: Callable[..., Path], pattern: str, **options: object) -> None:
    """Make a corpus and print its contents; `pattern` matches its files."""
    there = out.is_dir() and any(out.iterdir())
    start = time.perf_counter()
    make(out, **options)
    files = sum(1 for _ in out.rglob(pattern))
    how = "is there already" if there else f"made in {time.perf_counter() - start:.1f} s"
    print(f"{out}: {files:,} recordings, {how}")


Seed = Annotated[
    str,
    typer.Option(help="Fixes every byte. A text is kept secret: only its fingerprint is written."),
]


@data_app.command("corpus")
def corpus(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    size: Annotated[
        str, typer.Option(help="tiny (20 speakers), mini (120) or standard (200).")
    ] = "mini",
    seed: Seed = "0",
    words: Annotated[
        str | None, typer.Option(help='Other words than the 35, such as "ja nein".')
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="Another language: an espeak-ng voice file, such as gmw/de.")
    ] = None,
) -> None:
    """Make the embedded corpus of spoken words, in the layout of Speech Commands, offline."""
    from kws.data.embedded.corpus import make_corpus

    more = {} if words is None else {"words": words.split()}
    options = {"size": size, "seed": as_seed(seed), "voice": voice, **more}
    report(out, make_corpus, "*_nohash_*.wav", **options)


@data_app.command("speaker-corpus")
def speaker_corpus(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    speakers: Annotated[int, typer.Option(help="Number of voices.")] = 100,
    utterances: Annotated[
        int, typer.Option(help="Labeled sentences of each; a quarter as many for testing.")
    ] = 24,
    seed: Seed = "0",
) -> None:
    """Make speaker features of embedded voices, in the homework's layout, offline."""
    from kws.data.embedded.speaker_corpus import make_speaker_corpus

    report(
        out,
        make_speaker_corpus,
        "uttr-*.pt",
        speakers=speakers,
        utterances=utterances,
        seed=as_seed(seed),
    )


@data_app.command("strings")
def strings(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    speakers: Annotated[int, typer.Option(help="Number of voices.")] = 120,
    count: Annotated[int, typer.Option("--strings", help="Strings for each voice.")] = 30,
    words: Annotated[
        str | None, typer.Option(help='Other words than the ten digits, such as "yes no".')
    ] = None,
    seed: Seed = "0",
) -> None:
    """Make spoken strings of digits with their transcripts, for speech to text, offline."""
    from kws.data.embedded.strings import make_strings

    more = {} if words is None else {"words": words.split()}
    options = {"speakers": speakers, "strings": count, "seed": as_seed(seed), **more}
    report(out, make_strings, "*.wav", **options)


@data_app.command("download")
def download(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="v1, v2, v2-test or speakers-600 (the homework).")
    ],
    out: Annotated[
        Path, typer.Argument(help="Folder to make; the archive is kept beside it meanwhile.")
    ],
    mirror: Annotated[
        str | None,
        typer.Option(help="Address of the archives, instead of the publisher's; or $KWS_MIRROR."),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(help="What speakers-600 must have, joined: digits, or a file with them."),
    ] = None,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Do not delete the archive.")
    ] = False,
) -> None:
    """Fetch a published archive, check it, unpack it; continues where it was interrupted."""
    from kws.data import download

    fetched = download.download(name, out, mirror=mirror, sha256=sha256, keep_archive=keep_archive)
    known = download.expected_digest(name, sha256)
    how = "verified and unpacked" if known else "unpacked, its content checked"
    print(f"{out}: {name}, {how if fetched else 'is there already'}")
    if known is None:
        print(
            f"sha256 {download.read_marker(out)['sha256']} of the joined parts: none is published "
            "to compare it with; keep it for --sha256"
        )


@data_app.command("pack")
def pack(
    folder: Annotated[Path, typer.Argument(help="Recordings, or speaker features.")],
    resample: Resample = False,
) -> None:
    """Pack a folder into one memory-mapped file in the cache, and print its contents."""
    from kws.data import check

    print(*check.pack(folder, resample=resample), sep="\n")


@data_app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Recordings, or speaker features.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="v1-12, v2-12, v2-35, kaggle-12, embedded-12, embedded-35, own:WORD,WORD."
        ),
    ] = "v2-12",
    test_silence: Annotated[
        str, typer.Option(help="noise (background recordings) or zeros.")
    ] = "noise",
    resample: Resample = False,
    unknown: Annotated[
        Literal["protocol", "all"],
        typer.Option(help="Clips of other words: as many as the protocol has, or all."),
    ] = "protocol",
    plot: Annotated[
        Path | None, typer.Option(help="PNG to draw: clips of every label in every split.")
    ] = None,
    partial: Partial = False,
) -> None:
    """Read every file of a folder, and count its clips by split and label."""
    from kws.data import check

    lines = check.check(
        folder,
        protocol,
        test_silence=test_silence,
        resample=resample,
        unknown=unknown,
        plot=plot,
        partial=partial,
    )
    print(*lines, sep="\n")
