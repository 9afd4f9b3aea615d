import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { imageStoreOf } from './image-store.ts';

function state(config?: object): string {
  const dir = mkdtempSync(join(tmpdir(), 'uc-store-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  if (config) writeFileSync(join(dir, 'undercloud.json'), JSON.stringify(config));
  return dir;
}
function credentials(text = 'key\nsecret\n'): string {
  const file = join(state(), 'credentials');
  writeFileSync(file, text);
  return file;
}
const swift = { endpoint: 'http://192.0.2.5:8080', region: 'us-east-1', bucket: 'images' };
const kept = { ...swift, accessKey: 'old', secretKey: 'old' };
const base = {
  listen: '127.0.0.1:1',
  databaseUrl: '',
  redisUrl: '',
  lab: false,
  provisioning: null,
  region: 'RegionOne',
};

it('reads a bucket with its region, and credentials in either form', () => {
  expect(imageStoreOf(state(), {})).toBeUndefined();
  expect(imageStoreOf(state(), { imageStore: 'disk' })).toBeUndefined();
  const wish = { imageStore: 's3+http://192.0.2.5:8080/images', imageStoreCredentials: credentials() };
  expect(imageStoreOf(state(), wish)).toEqual({ ...swift, accessKey: 'key', secretKey: 'secret' });
  const aws = credentials('# comment\n[default]\naws_secret_access_key = s3cret/+=\naws_access_key_id=AK\n');
  const tls = { imageStore: 's3://store.example.org/gold-images?region=eu-1', imageStoreCredentials: aws };
  expect(imageStoreOf(state(), tls)).toEqual({
    ...{ endpoint: 'https://store.example.org', region: 'eu-1', bucket: 'gold-images' },
    ...{ accessKey: 'AK', secretKey: 's3cret/+=' },
  });
});

it('keeps what was said before, and takes new credentials for it', () => {
  const before = state({ ...base, s3: kept });
  expect(imageStoreOf(before, {})).toEqual(kept);
  expect(imageStoreOf(before, { imageStoreCredentials: credentials() })).toMatchObject({
    ...swift,
    secretKey: 'secret',
  });
  expect(imageStoreOf(before, { imageStore: 's3+http://192.0.2.5:8080/images' })).toEqual(kept);
});

it.each([
  ['another scheme', { imageStore: 'ftp://x/images' }, /is not ftp:\/\/x\/images/],
  ['no bucket', { imageStore: 's3://store.example.org' }, /names the bucket “”/],
  ['a bucket with a path', { imageStore: 's3://store.example.org/a/b' }, /names the bucket “a\/b”/],
  [
    'a password in the URL, which it does not repeat',
    { imageStore: 's3://key:hush@store/images' },
    /is not s3:\/\/…@store\/images/,
  ],
  ['another option in the URL', { imageStore: 's3://store/images?size=1' }, /not “size”/],
  ['no credentials', { imageStore: 's3://store/images' }, /needs --image-store-credentials/],
  ['credentials for a disk', { imageStore: 'disk', imageStoreCredentials: '/x' }, /takes no --image-store-credentials/],
  ['credentials for nothing', { imageStoreCredentials: '/x' }, /belongs to an --image-store/],
  [
    'a file that is not there',
    { imageStore: 's3://store/images', imageStoreCredentials: '/nowhere/x' },
    /\/nowhere\/x cannot be read/,
  ],
] as const)('refuses %s', (_what, wish, sentence) => {
  let message = '';
  try {
    imageStoreOf(state(), wish);
  } catch (error) {
    ({ message } = error as Error);
  }
  expect(message).toMatch(sentence);
  expect(message).not.toContain('hush');
});

it('refuses a file without keys, and never repeats what is in it', () => {
  const wish = { imageStore: 's3://store/images', imageStoreCredentials: credentials('only-one-line-hush\n') };
  expect(() => imageStoreOf(state(), wish)).toThrow(/has no credentials: two lines/);
  expect(() => imageStoreOf(state(), wish)).not.toThrow(/hush/);
});

it('does not let images out of sight', () => {
  const before = state({ ...base, s3: kept });
  expect(() => imageStoreOf(before, { imageStore: 'disk' })).toThrow(/kept in http:\/\/192\.0\.2\.5:8080\/images/);
  const other = { imageStore: 's3+http://192.0.2.5:8080/others', imageStoreCredentials: credentials() };
  expect(() => imageStoreOf(before, other)).toThrow(/bootstrap does not move them/);
  const disk = state(base);
  mkdirSync(join(disk, 'images', 'work'), { recursive: true });
  expect(imageStoreOf(disk, other)).toMatchObject({ bucket: 'others' });
  mkdirSync(join(disk, 'images', 'objects'));
  expect(() => imageStoreOf(disk, other)).toThrow(/kept in the directory/);
});
