"""One probe, one download, and one line for whatever goes wrong with them."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from glob import escape
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from idim.errors import IdimError, OffLine, RunFailed, near
from idim.hub.files import matching, needed
from idim.hub.pins import CANONICAL, Pin, Wanted

log = logging.getLogger(__name__)

# The hub answers in a tenth of this; the libraries' own retries take 23 to 47 s to give up.
PROBE_S = 1.0
DISK_ERRORS = (EACCES, EDQUOT, ENOSPC, EPERM, EROFS)


def probe(wanted: Wanted, pin: Pin | None, known: Iterable[str]) -> None:
    """Ask once, for a second, whether the hub answers at all.

    Raises:
        OffLine: it does not, or HF_HUB_OFFLINE is set.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise OffLine(_offline_message(wanted, pin, "HF_HUB_OFFLINE forbids fetching it", known))
    own_limit = "HF_HUB_ETAG_TIMEOUT" in os.environ
    limit_s = float(constants.HF_HUB_ETAG_TIMEOUT) if own_limit else PROBE_S
    fault = _fault(constants.ENDPOINT, limit_s)
    if fault is not None:
        raise OffLine(_offline_message(wanted, pin, f"{constants.ENDPOINT} {fault}", known))


def _fault(endpoint: str, limit_s: float) -> str | None:
    """Say why the hub does not answer, or None when it does.

    In a thread, because a name look-up on a machine without a network ignores time-outs.
    """
    answers: SimpleQueue[str | None] = SimpleQueue()
    Thread(target=lambda: answers.put(_knock(endpoint, limit_s)), daemon=True).start()
    try:
        return answers.get(timeout=limit_s + 0.2)
    except Empty:
        return _silence(limit_s)


def _silence(limit_s: float) -> str:
    return f"gave no answer within {limit_s:g} s (HF_HUB_ETAG_TIMEOUT=5 waits longer)"


def _knock(endpoint: str, limit_s: float) -> str | None:
    from http.client import HTTPException
    from ssl import SSLCertVerificationError
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(f"{endpoint}/robots.txt", method="HEAD"), timeout=limit_s):
            return None
    except HTTPError as e:
        e.close()
        # Retrying a hub that is down would take the libraries half a minute.
        return f"answers HTTP {e.code}" if e.code >= 500 else None
    except (OSError, HTTPException, ValueError) as e:
        reason = e.reason if isinstance(e, URLError) else e
        if isinstance(reason, SSLCertVerificationError):  # the library brings other certificates
            return None
        if isinstance(reason, TimeoutError):
            return _silence(limit_s)
        detail = reason.strerror if isinstance(reason, OSError) else None
        return f"cannot be reached ({detail or reason})"


def _offline_message(wanted: Wanted, pin: Pin | None, why: str, known: Iterable[str]) -> str:
    state = "is not on this machine"
    if pin is not None:
        state = f"is pinned to commit {pin.commit[:8]}, whose files are not all in the hub's cache"
    guess = "" if "/" in wanted.name else _near(wanted, known)
    option = "model" if wanted.kind == "model" else "data"
    fetch = f"--model {wanted.name}" if wanted.kind == "model" else "--task TASK"
    return (
        f"{wanted} {state} and {why}{guess}; give a folder with --{option} FOLDER, "
        f"or run `idim prefetch {fetch}` where there is a network."
    )


def _near(wanted: Wanted, known: Iterable[str] = ()) -> str:
    """Suggest a near name, unless the name is itself a known one."""
    names = [*known, *CANONICAL, *CANONICAL.values()]
    if wanted.kind == "dataset" or wanted.repo in names:
        return ""
    found = near(wanted.name, names, cutoff=0.7)
    return f"; did you mean '{found}'?" if found else ""


def fetch(wanted: Wanted, pin: Pin | None, known: Iterable[str]) -> Pin:
    """Download what is needed: of the pinned commit where there is one, else of the revision."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        """Shown on a terminal only; the library's own also fills log files."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"disable": None})

    repo, revision = (pin.repo, pin.commit) if pin else (wanted.repo, wanted.revision)
    with _one_line_errors(wanted, revision, known):
        info = HfApi().repo_info(repo, repo_type=wanted.kind, revision=revision, timeout=10)
        card = getattr(info, "card_data", None)
        names = [f.rfilename for f in getattr(info, "siblings", None) or ()]
        patterns = needed(wanted, names, card.to_dict() if card else {})
        files = matching(wanted, names, patterns)
        log.info("fetching %s from %s: %d files", wanted, repo, len(files))
        folder = snapshot_download(
            # A redirected name caches under its new one.
            info.id,
            repo_type=wanted.kind,
            revision=revision,
            allow_patterns=[escape(name) for name in files],
            tqdm_class=Bar,
        )
    return Pin(wanted.key, wanted.kind, info.id, Path(folder).name, files)


@contextmanager
def _one_line_errors(wanted: Wanted, revision: str, known: Iterable[str]) -> Iterator[None]:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]  # the base of all transport errors
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{constants.ENDPOINT}/{'datasets/' * (wanted.kind == 'dataset')}{wanted.repo}"
    try:
        yield
    except GatedRepoError:
        raise IdimError(
            f"{wanted} is gated: accept its terms at {page} and set HF_TOKEN to your access token."
        ) from None
    except RepositoryNotFoundError:
        tail = _near(wanted, known) or "; if it is private, set HF_TOKEN."
        raise IdimError(f"no {wanted} at {constants.ENDPOINT}{tail}") from None
    except RevisionNotFoundError:
        raise IdimError(f"{wanted} has no revision '{revision}'; see {page}.") from None
    except (OSError, HTTPError, RuntimeError) as e:
        status = getattr(getattr(e, "response", None), "status_code", None)
        if status in (401, 403):
            raise IdimError(f"{page} refused access; check HF_TOKEN.") from None
        if isinstance(e, OSError) and e.errno in DISK_ERRORS:
            where = constants.HF_HUB_CACHE
            raise RunFailed(f"cannot write to '{where}': {e.strerror}; set HF_HOME.") from None
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0].rstrip(".")
        raise OffLine(f"fetching {wanted} from {constants.ENDPOINT} failed: {reason}.") from None
