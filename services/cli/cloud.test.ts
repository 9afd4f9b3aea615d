import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCloud } from './cloud.ts';

describe('finding the undercloud', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'uc-clouds-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const clouds = (name: string, text: string): string => {
    const file = join(dir, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  const variables = {
    OS_AUTH_URL: 'https://192.0.2.1:6385/identity',
    OS_USERNAME: 'admin',
    OS_PASSWORD: 'p',
    OS_PROJECT_NAME: 'admin',
  };
  const sentence = (env: NodeJS.ProcessEnv, state?: string): string => {
    try {
      findCloud(env, state);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('a cloud was found');
  };

  it('takes OS_* variables, with the domains that every client assumes', () => {
    expect(findCloud(variables, undefined)).toEqual({
      authUrl: 'https://192.0.2.1:6385/identity/v3',
      username: 'admin',
      userDomain: { name: 'Default' },
      password: 'p',
      project: { name: 'admin', domain: { name: 'Default' } },
      region: null,
      ca: null,
      verify: true,
    });
    const byId = { ...variables, OS_PROJECT_ID: 'abc', OS_USER_DOMAIN_ID: 'default', OS_INSECURE: 'true' };
    expect(findCloud(byId, undefined)).toMatchObject({
      project: { id: 'abc' },
      userDomain: { id: 'default' },
      verify: false,
    });
  });

  it('finds the CA beside an exported clouds.yaml', () => {
    clouds('exported/undercloud-ca.pem', 'PEM');
    const file = clouds(
      'exported/clouds.yaml',
      `clouds:
  undercloud:
    auth: {auth_url: "https://host:1/identity/v3", username: admin, password: 1234, project_name: admin}
    cacert: undercloud-ca.pem
    region_name: RegionOne
`,
    );
    expect(findCloud({ OS_CLIENT_CONFIG_FILE: file }, undefined)).toMatchObject({
      authUrl: 'https://host:1/identity/v3',
      password: '1234',
      ca: 'PEM',
      region: 'RegionOne',
    });
  });

  it('takes the state directory’s own before all others, and the cloud that OS_CLOUD names', () => {
    const text = (name: string) =>
      `clouds: {${name}: {auth: {auth_url: "http://${name}/v3", username: u, password: p, project_name: q}}}`;
    clouds('state/clouds.yaml', text('undercloud'));
    expect(findCloud(variables, join(dir, 'state')).authUrl).toBe('http://undercloud/v3');
    const other = clouds('other.yaml', text('other'));
    expect(findCloud({ ...variables, OS_CLOUD: 'other', OS_CLIENT_CONFIG_FILE: other }, undefined).authUrl).toBe(
      'http://other/v3',
    );
  });

  it('says where it looked, and what is wrong with what it found', () => {
    expect(sentence({}, join(dir, 'nowhere'))).toContain(`no clouds.yaml at ${join(dir, 'nowhere/clouds.yaml')}`);
    const env = (file: string) => ({ OS_CLIENT_CONFIG_FILE: file });
    expect(sentence(env(clouds('broken.yaml', 'clouds: [')))).toContain('broken.yaml is no usable description');
    expect(sentence(env(clouds('poor.yaml', 'clouds: {undercloud: {auth: {auth_url: "http://x"}}}')))).toContain(
      'it has no user (username)',
    );
    expect(
      sentence(
        env(
          clouds(
            'noca.yaml',
            'clouds: {undercloud: {auth: {auth_url: "http://x", username: u, password: p, project_name: q}, cacert: no.pem}}',
          ),
        ),
      ),
    ).toContain('no.pem cannot be read');
    expect(sentence({ ...variables, OS_PASSWORD: '' })).toContain('has no password');
    expect(sentence({ ...variables, OS_AUTH_URL: 'host:5000' })).toContain('no http(s) URL');
  });
});
