import koffi from 'koffi';

/** Node has no calls for extended attributes, and a process for each of 20,000 files is out of the question. */
const libc = koffi.load('libc.so.6');
const llistxattr = libc.func('int64_t llistxattr(const char *path, _Out_ uint8_t *list, size_t size)');
const lgetxattr = libc.func('int64_t lgetxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)');

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux: nothing is longer. */
const names = Buffer.alloc(65_536);
const value = Buffer.alloc(65_536);

/** The extended attributes of a file itself (symlinks are not followed), sorted by name; those of overlayfs are its own business. */
export function readAttributes(path: string): { name: string; value: Buffer }[] {
  const length = Number(llistxattr(path, names, names.length));
  if (length <= 0) return [];
  return names
    .toString('latin1', 0, length - 1)
    .split('\0')
    .filter((name) => !name.startsWith('trusted.overlay.'))
    .sort()
    .map((name) => ({ name, value: getAttribute(path, name) ?? Buffer.alloc(0) }));
}

/** One attribute; undefined when the file has none of this name. */
export function getAttribute(path: string, name: string): Buffer | undefined {
  const length = Number(lgetxattr(path, name, value, value.length));
  return length < 0 ? undefined : Buffer.from(value.subarray(0, length));
}
