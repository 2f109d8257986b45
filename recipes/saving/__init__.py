"""Model files: written whole or not at all, and checked before they are opened."""

from .archive import ModelFile, check_file
from .export import Export, export
from .files import load, registered, save
from .refusal import RefusedFile

__all__ = ["Export", "ModelFile", "RefusedFile", "check_file", "export", "load", "registered", "save"]
