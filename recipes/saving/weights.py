"""The weights of a `.keras` file, an HDF5 file: are they numbers that lie in it?"""

import math

from .refusal import RefusedFile

MOST_OBJECTS = 100_000
#: The filters that HDF5 brings with it: deflate, shuffle, checksum. Others are plug-ins, code of their own.
FILTERS = {1, 2, 3}
#: A data set may be this many times larger than what is stored of it.
MOST_EXPANSION = 100
#: Smaller ones, in bytes, may be any multiple.
NO_BOMB = 1 << 20


def check_weights(file):
    """Looks at all that an HDF5 file holds, without reading a number or following a link.

    Args:
        file: a binary file object.

    Returns:
        How many numbers it holds.

    Raises:
        RefusedFile: it holds more than arrays of numbers, or is damaged.
    """
    import h5py

    try:
        with h5py.File(file, "r") as weights:
            return sum(check_array(array) for array in arrays(weights))
    except RefusedFile:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RefusedFile("damaged weights", f"HDF5 cannot read model.weights.h5: {error}") from None


def arrays(weights):
    """The arrays in all groups, each once, though several names may lead to it."""
    import h5py

    seen, groups = set(), [weights]
    while groups:
        group = groups.pop()
        for name in group:
            told = f"{group.name.rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise RefusedFile("external link", f"the weights {told} lie in another file, {link.filename!r}")
            if not isinstance(link, h5py.HardLink):
                raise RefusedFile("soft link", f"the weights {told} only point elsewhere")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise RefusedFile("too many weights", f"the weights are more than {MOST_OBJECTS:,} arrays and groups")
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                yield item
            else:
                raise RefusedFile("object type", f"the weights {told} are no array but a {type(item).__name__}")


def check_array(array):
    """The number of numbers in an array that has nothing but them."""
    name = array.name
    if array.external:
        raise RefusedFile("external storage", f"the weights {name} lie in another file, {array.external[0][0]!r}")
    if array.is_virtual:
        raise RefusedFile("virtual array", f"the weights {name} are put together from other files")
    if array.dtype.hasobject:
        raise RefusedFile("object type", f"the weights {name} are Python objects or references, not numbers")
    plan = array.id.get_create_plist()
    filters = {plan.get_filter(index)[0] for index in range(plan.get_nfilters())}
    if filters - FILTERS:
        told = f"the weights {name} need the HDF5 plug-in {min(filters - FILTERS)} to be unpacked"
        raise RefusedFile("plug-in", told)
    count = math.prod(array.shape or ())
    size, stored = count * array.dtype.itemsize, array.id.get_storage_size()
    if size > max(NO_BOMB, MOST_EXPANSION * stored):
        told = f"the weights {name} claim the shape {array.shape}, {size:,} bytes, of which {stored:,} are stored"
        raise RefusedFile("shape bomb", told)
    return count
