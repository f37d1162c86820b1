"""Where adapters are kept: a local folder, and behind it a bucket if one is set.

It refuses to know what adapters are for. With a bucket the folder is a cache: a version is
published to both, and brought from the bucket wherever it is missing or damaged. In the bucket it
lies at `<directory>/<hash of its manifest>/<file>`, so that nobody writes over what somebody reads.
"""

import secrets
import shutil
import time
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from registry import artifacts, signing
from registry.artifacts import MANIFEST, Manifest, Published, full_directory, sha256_of
from registry.durable import storage_errors, sync_directory, sync_tree
from registry.errors import CorruptArtifact, StoreAway, UntrustedArtifact
from registry.settings import Settings
from registry.signing import SIGNATURE

if TYPE_CHECKING:
    from registry.bucket import Bucket

PULLED = ".pull-*.part"
"""What copies on their way from the bucket are called."""
_ATTEMPTS = 3


class ArtifactStore:
    """Publishes, brings and deletes adapters' files; every call may take long, so use a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.adapters_dir

    def publish(self, staged: Path, directory: str, manifest: Manifest) -> Published:
        """Publish a finished folder: signed if a key is set, whole or not at all.

        Publishing again what is there already changes nothing.

        Args:
            staged: Folder with the files, on the file system of the data directory.
            directory: Its name below the root.
            manifest: What to record; its `files` are filled in.

        Raises:
            CorruptArtifact: `staged` holds a kind of file that is never published.
            StorageFull: The disk is full; nothing is visible.
            StoreAway: The bucket cannot be written; nothing is visible there.
        """
        key = self._settings.signing_key
        sign = None if key is None else partial(signing.sign, key=key)
        published = artifacts.publish(staged, self.root_of(directory), manifest, sign)
        if self._bucket is not None:
            place = _place(directory, published.manifest_sha256)
            names = sorted(path.name for path in published.directory.iterdir())
            for name in [*(name for name in names if name != MANIFEST), MANIFEST]:
                self._bucket.put(f"{place}/{name}", published.directory / name)
        return published

    def bring(self, directory: str, manifest_sha256: str) -> Manifest:
        """Return a version's manifest once its files lie in the local folder, checked.

        Raises:
            CorruptArtifact: They are not what the record says, here and in the bucket.
            UntrustedArtifact: A verification key is set, and the signature does not fit it.
            StoreAway: They are not here, and the bucket cannot be read.
            StorageFull: There is no room for them here.
        """
        try:
            return self._checked(self.root_of(directory), manifest_sha256)
        except UntrustedArtifact:
            raise
        except CorruptArtifact:
            if self._bucket is None:
                raise
        self._pull(self._bucket, directory, manifest_sha256)
        return self._checked(self.root_of(directory), manifest_sha256)

    def bring_newest(self, directory: str) -> Manifest:
        """Do what `bring` does for whoever has no record: what is here, or what was published last.

        Raises:
            CorruptArtifact: There is no whole copy, here or in the bucket.
            UntrustedArtifact: A verification key is set, and the signature does not fit it.
            StoreAway: It is not here, and the bucket cannot be read.
        """
        here = self.root_of(directory) / MANIFEST
        if here.is_file():
            try:
                return self.bring(directory, sha256_of(here))
            except UntrustedArtifact:
                raise
            except CorruptArtifact:
                pass  # its manifest is damaged: the bucket knows a sound one
        there = [] if self._bucket is None else self._bucket.below(directory)
        manifests = [one for one in there if one.key.endswith(f"/{MANIFEST}")]
        if not manifests:
            raise CorruptArtifact(directory, "there is no such version")
        newest = max(manifests, key=lambda one: one.modified_at)
        return self.bring(directory, newest.key.split("/")[-2])

    def manifest(self, directory: str, manifest_sha256: str) -> Manifest:
        """Return a version's manifest without looking at its files.

        Raises:
            CorruptArtifact: There is none, or it cannot be read.
            StoreAway: It is not here, and the bucket cannot be read.
        """
        root = self.root_of(directory)
        if self._bucket is None or (root / MANIFEST).exists():
            return artifacts.read_manifest(root)
        return self._manifest_there(self._bucket, directory, manifest_sha256)

    def delete(self, directory: str) -> None:
        """Delete a version's files, here and in the bucket; what is gone already is no error.

        Raises:
            OSError: Local files could not be deleted.
            StoreAway: The bucket cannot be written; the next call goes on.
        """
        for each in (full_directory(directory), directory):
            self._delete(each)

    def _delete(self, directory: str) -> None:
        self._remove(directory)
        if self._bucket is not None:
            found = [listed.key for listed in self._bucket.below(directory)]
            # Manifests first: a version that is half deleted is none.
            manifests = [key for key in found if key.endswith(f"/{MANIFEST}")]
            self._bucket.delete(manifests)
            self._bucket.delete([key for key in found if key not in set(manifests)])

    def forget(self, directory: str) -> None:
        """Delete this host's copy of what another process deleted; without a bucket there is none.

        Raises:
            OSError: Files could not be deleted.
        """
        if self._bucket is not None:
            for each in (full_directory(directory), directory):
                self._remove(each)

    def withdraw(self, stem: str) -> None:
        """Delete every version whose directory's name begins so.

        Raises:
            StoreAway: The bucket cannot be written.
        """
        here = {path.name for path in self._root.glob(f"{stem}*")}
        for directory in {*here, *self.in_bucket(stem)}:
            self.delete(directory)

    def in_bucket(self, stem: str) -> list[str]:
        """Return the directories in the bucket whose names begin so; none without a bucket.

        Raises:
            StoreAway: The bucket cannot be read.
        """
        folders = [] if self._bucket is None else self._bucket.folders()
        return [name for name in folders if name.startswith(stem)]

    def delete_stale(self, directory: str, seconds: float) -> None:
        """Delete a version's files if nobody wrote to them in the bucket lately.

        Raises:
            OSError: Local files could not be deleted.
            StoreAway: The bucket cannot be reached.
        """
        listed = [] if self._bucket is None else self._bucket.below(directory)
        if all(one.modified_at.timestamp() < time.time() - seconds for one in listed):
            self.delete(directory)

    def root_of(self, directory: str) -> Path:
        """Return where a version's files lie, or will.

        Raises:
            CorruptArtifact: The name leads out of the folder.
        """
        root = self._root / directory
        if self._root.resolve() not in root.resolve().parents:
            raise CorruptArtifact(directory, "it lies outside the adapters' folder")
        return root

    @cached_property
    def _bucket(self) -> "Bucket | None":
        url = self._settings.artifacts_url
        if url is None:
            return None
        from registry.bucket import Bucket  # noqa: PLC0415 - only who has one needs its client

        return Bucket(url, self._settings.artifacts_endpoint)

    def _remove(self, directory: str) -> None:
        root = self.root_of(directory)
        if root.exists():
            shutil.rmtree(root)

    def _checked(self, root: Path, manifest_sha256: str) -> Manifest:
        manifest = artifacts.verify(root)
        if sha256_of(root / MANIFEST) != manifest_sha256:
            raise CorruptArtifact(root.name, "the manifest is not the one that was recorded")
        key = self._settings.verification_key
        if key is not None:
            signing.check_signature(root, key)
        return manifest

    def _manifest_there(self, bucket: "Bucket", directory: str, manifest_sha256: str) -> Manifest:
        try:
            content = bucket.read(f"{_place(directory, manifest_sha256)}/{MANIFEST}")
            return msgspec.json.decode(content, type=Manifest)
        except FileNotFoundError as exc:
            raise CorruptArtifact(directory, "the artifact store has no such version") from exc
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise CorruptArtifact(directory, f"unreadable manifest ({exc})") from exc

    def _pull(self, bucket: "Bucket", directory: str, manifest_sha256: str) -> None:
        """Copy a version from the bucket and put it in its place once it is whole."""
        manifest = self._manifest_there(bucket, directory, manifest_sha256)
        place = _place(directory, manifest_sha256)
        there = {listed.key.rpartition("/")[2] for listed in bucket.below(place)}
        staged = self._root / _part_name()
        try:
            with storage_errors(staged):
                staged.mkdir(parents=True)
                for name in [*manifest.files, MANIFEST, *({SIGNATURE} & there)]:
                    _require_plain(directory, name)
                    bucket.download(f"{place}/{name}", staged / name)
                self._checked(staged, manifest_sha256)
                sync_tree(staged)
                self._settle(staged, self._root / directory, manifest_sha256)
        except CorruptArtifact as exc:
            raise type(exc)(directory, f"{exc.reason} (in the artifact store)") from exc
        except FileNotFoundError as exc:
            reason = "a file of it is missing from the artifact store"
            raise CorruptArtifact(directory, reason) from exc
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _settle(self, staged: Path, root: Path, manifest_sha256: str) -> None:
        """Move a whole copy to its place, unless another process was faster."""
        for _ in range(_ATTEMPTS):
            try:
                staged.rename(root)
            except OSError as exc:
                if not root.is_dir():  # a rename fails onto a folder that is not empty
                    raise
                try:
                    self._checked(root, manifest_sha256)
                except CorruptArtifact:  # a damaged copy: out of the way with it
                    aside = self._root / _part_name()
                    root.rename(aside)
                    shutil.rmtree(aside, ignore_errors=True)
                    continue
                del exc
                return
            else:
                sync_directory(self._root)
                return
        raise StoreAway("artifact_store", f"'{root.name}' is being written by somebody else.")


def _place(directory: str, manifest_sha256: str) -> str:
    return f"{directory}/{manifest_sha256}"


def _part_name() -> str:
    return PULLED.replace("*", secrets.token_hex(8))


def _require_plain(directory: str, name: str) -> None:
    if Path(name).name != name:
        raise CorruptArtifact(directory, f"'{name}' is no name of a file")
