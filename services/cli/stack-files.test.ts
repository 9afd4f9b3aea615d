import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { collectStackFiles, placeOf, withPaths } from './stack-files.ts';

describe('the files of a stack', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'uc-files-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));
  const write = (name: string, content: string | Buffer): string => {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  const url = (name: string): string => pathToFileURL(join(dir, name)).href;

  it('may have a key twice, as Heat takes them', async () => {
    write('t/one.yaml', 'heat_template_version: 2021-04-16\n');
    const environment = write('t/twice.yaml', 'resource_registry:\n  X: one.yaml\n  X: one.yaml\n');
    const template = write('t/top.yaml', 'heat_template_version: 2021-04-16\nresources: {a: {type: X}}\n');
    expect(Object.keys((await collectStackFiles(template, [environment])).files)).toContain(url('t/one.yaml'));
  });

  it('are all those that the template and what it includes refer to, under absolute names', async () => {
    const template = write(
      'a/top.yaml',
      `heat_template_version: 2021-04-16
resources:
  one: {type: sub/role.yaml}   # a comment stays
  two:
    type: OS::Heat::ResourceGroup
    properties:
      resource_def: {type: "sub/role.yaml"}
  three:
    properties:
      script:
        get_file: >-
          ../scripts/run.sh
      again: {get_file: ../scripts/run.sh}
      computed: {get_file: {get_param: x}}
`,
    );
    write('a/sub/role.yaml', 'heat_template_version: 2021-04-16\nresources:\n  c: {x: {get_file: run.sh}}\n');
    write('a/sub/run.sh', 'inner');
    write('scripts/run.sh', 'type: not-a-template.yaml\n');
    const { template: text, files } = await collectStackFiles(template, []);
    expect(Object.keys(files).sort()).toEqual([url('a/sub/role.yaml'), url('a/sub/run.sh'), url('scripts/run.sh')]);
    expect(parse(text)).toMatchObject({
      resources: {
        one: { type: url('a/sub/role.yaml') },
        two: { properties: { resource_def: { type: url('a/sub/role.yaml') } } },
        three: {
          properties: {
            script: { get_file: url('scripts/run.sh') },
            again: { get_file: url('scripts/run.sh') },
            computed: { get_file: { get_param: 'x' } },
          },
        },
      },
    });
    expect(parse(files[url('a/sub/role.yaml')] ?? '')).toMatchObject({
      resources: { c: { x: { get_file: url('a/sub/run.sh') } } },
    });
    expect(files[url('scripts/run.sh')]).toBe('type: not-a-template.yaml\n');
    expect(text.split('\n')).toHaveLength(15);
    expect(text).toContain('# a comment stays');
    expect(placeOf({ template: text, templateFile: 'top.yaml' }, 'three')).toBe('top.yaml:8');
    expect(placeOf({ template: text, templateFile: 'top.yaml' }, 'four')).toBeNull();
  });

  it('come with the environments, in their order', async () => {
    const template = write('b/top.yaml', 'heat_template_version: 2021-04-16\n');
    const env = write(
      'b/env/one.yaml',
      `resource_registry:
  OS::My::Type: types/mine.yaml
  OS::No::Thing: OS::Heat::None
  resources:
    node:
      hooks: pre-create
      OS::My::Other: types/mine.yaml
parameters: {a: file.yaml}
`,
    );
    const two = write('b/two.yaml', 'resource_registry: {base_url: env/types, "OS::T": mine.yaml}\n');
    write('b/env/types/mine.yaml', 'heat_template_version: 2021-04-16\n');
    const { files, environmentFiles } = await collectStackFiles(template, [env, two]);
    expect(environmentFiles).toEqual([url('b/env/one.yaml'), url('b/two.yaml')]);
    expect(parse(files[url('b/env/one.yaml')] ?? '')).toMatchObject({
      resource_registry: {
        'OS::My::Type': url('b/env/types/mine.yaml'),
        'OS::No::Thing': 'OS::Heat::None',
        resources: { node: { hooks: 'pre-create', 'OS::My::Other': url('b/env/types/mine.yaml') } },
      },
      parameters: { a: 'file.yaml' },
    });
    expect(parse(files[url('b/two.yaml')] ?? '')).toMatchObject({
      resource_registry: { 'OS::T': url('b/env/types/mine.yaml') },
    });
    expect(files[url('b/env/types/mine.yaml')]).toBe('heat_template_version: 2021-04-16\n');
  });

  it('may include one another in a circle, and be binary', async () => {
    const template = write(
      'c/top.yaml',
      'heat_template_version: 2021-04-16\nresources: {a: {type: top.yaml}, b: {x: {get_file: b.bin}}}\n',
    );
    write('c/b.bin', Buffer.alloc(100, 0xff));
    const { files } = await collectStackFiles(template, []);
    expect(Object.keys(files).sort()).toEqual([url('c/b.bin'), url('c/top.yaml')]);
    expect(Buffer.from(files[url('c/b.bin')] ?? '', 'base64')).toEqual(Buffer.alloc(100, 0xff));
    expect(files[url('c/b.bin')]?.split('\n')[0]).toHaveLength(76);
  });

  const refused = async (template: string, environments: string[] = []): Promise<string> =>
    collectStackFiles(template, environments).then(
      () => 'it was taken',
      (error: Error) => error.message,
    );

  it('are refused with the place of what is wrong', async () => {
    expect(await refused(join(dir, 'none.yaml'))).toContain('none.yaml cannot be read: there is no such file');
    expect(await refused(write('d/a.yaml', 'a: 1\nb: {get_file: gone.sh}\n'))).toMatch(
      /a\.yaml:2: the file .*gone\.sh .*: there is no such file/,
    );
    expect(await refused(write('d/b.yaml', 'a: [1\nb: 2\n'))).toMatch(/b\.yaml:\d+:\d+: /);
    expect(
      await refused(write('d/c.yaml', 'resources: {a: {type: d.yaml}}'))
        .then(() => write('d/d.yaml', 'x: ['))
        .then(() => refused(join(dir, 'd/c.yaml'))),
    ).toMatch(/d\.yaml:\d+:\d+: /);
    expect(await refused(write('d/e.yaml', Buffer.from([0x80, 0xff])))).toContain('no text in UTF-8');
    expect(await refused(write('d/f.yaml', 'a: {get_file: .}\n'))).toContain('it is a directory');
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}\n`;
    expect(await refused(write('d/bomb.yaml', bomb))).toMatch(/bomb\.yaml: .*alias/i);
  });

  it('may come over HTTP, but then reach no file of this machine', async () => {
    const pages: Record<string, string> = {
      '/t/top.yaml': 'resources: {a: {x: {get_file: run.sh}}}\n',
      '/t/run.sh': 'echo',
      '/t/evil.yaml': 'resources: {a: {x: {get_file: "file:///etc/passwd"}}}\n',
    };
    const server = http.createServer((request, response) => {
      const page = pages[request.url ?? ''];
      response.writeHead(page === undefined ? 404 : 200).end(page);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/t`;
    try {
      expect((await collectStackFiles(`${base}/top.yaml`, [])).files).toEqual({ [`${base}/run.sh`]: 'echo' });
      expect(await refused(`${base}/evil.yaml`)).toContain('refers to the local file');
      expect(await refused(`${base}/none.yaml`)).toContain('the server answered 404');
    } finally {
      server.close();
    }
  });

  it('are called by their paths in what the undercloud says of them', () => {
    const path = join(process.cwd(), 'templates/x.yaml');
    expect(withPaths(`${pathToFileURL(path).href}:3:1: no`)).toBe('templates/x.yaml:3:1: no');
    expect(withPaths('“file:///srv/other/y.yaml” is no template')).toBe('“/srv/other/y.yaml” is no template');
  });
});
