/** What a client may say of an image: its fields, checked, and any other member as a property. */
import { fault } from '../../core/errors/index.ts';
import type { Visibility } from '../model.ts';
import type { NewImage } from '../store/images.ts';

/** Fields with columns of their own; every other member of an image's document is a property. */
const columns = [
  'id',
  'name',
  'owner',
  'visibility',
  'disk_format',
  'container_format',
  'min_disk',
  'min_ram',
  'protected',
  'os_hidden',
  'tags',
] as const;
/** What only the store itself may say. */
const readOnly = new Set([
  'status',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'created_at',
  'updated_at',
  'self',
  'file',
  'schema',
  'locations',
  'direct_url',
]);
/** A client's document as fields and properties. @throws Fault `forbidden`, `image-invalid` */
export function fieldsOf(document: unknown): Partial<NewImage> {
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    throw fault('image-invalid', { reason: 'what describes it has to be a JSON object.' });
  const fields: Record<string, unknown> = {};
  const properties: Record<string, string> = {};
  for (const [name, value] of Object.entries(document)) {
    if (readOnly.has(name))
      throw Object.assign(fault('image-invalid', { reason: `attribute '${name}' is read-only.` }), { status: 403 });
    if ((columns as readonly string[]).includes(name)) fields[name] = checked(name, value);
    else if (text(name, 255) && text(value, 65_535)) properties[name] = value;
    else
      throw fault('image-invalid', {
        reason: `property '${name}' has to be a string of at most 65535 characters, and its name of 255.`,
      });
  }
  return { ...fields, ...(Object.keys(properties).length > 0 && { properties }) };
}

const diskFormats = ['ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop', null];
const containerFormats = ['ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed', null];
const visibilities: readonly Visibility[] = ['public', 'private', 'shared', 'community'];
export const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** PostgreSQL keeps no NUL in text. */
export const text = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value.length <= longest && !value.includes('\0');
/** PostgreSQL's int. */
const whole = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31;
const allowed: Record<string, (value: unknown) => boolean> = {
  name: (value) => value === null || text(value, 255),
  disk_format: (value) => diskFormats.includes(value as string | null),
  container_format: (value) => containerFormats.includes(value as string | null),
  visibility: (value) => visibilities.includes(value as Visibility),
  min_disk: (value) => whole(value),
  min_ram: (value) => whole(value),
  protected: (value) => typeof value === 'boolean',
  os_hidden: (value) => typeof value === 'boolean',
  owner: (value) => text(value, 255),
  id: (value) => typeof value === 'string' && uuid.test(value),
  tags: (value) => Array.isArray(value) && value.length <= 128 && value.every((tag) => text(tag, 255)),
};

function checked(name: string, value: unknown): unknown {
  if (!allowed[name]?.(value))
    throw fault('image-invalid', { reason: `invalid value ${JSON.stringify(value)} for '${name}'.` });
  return name === 'tags' ? [...new Set(value as string[])] : value;
}
