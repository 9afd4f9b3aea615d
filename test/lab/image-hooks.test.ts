import { execFileSync, spawnSync } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import { buildImage } from '../../services/builder/index.ts';
import { type TinyImages, tinyImages } from './tiny-image.fixture.ts';

/** diskimage-builder's contract with its elements: which scripts run, in which order and where, what they find in their environment, and what a build leaves. */

let images: TinyImages;

beforeAll(async () => {
  await ensurePackages(['images', 'elements', 'tests']);
  images = await tinyImages('/tmp/image-hooks-');
  await buildContract();
});
afterAll(() => images.remove());

/** Elements that write down what they find, in one image. */
const CONTRACT = ['recorder', 'left', 'right', 'teller', 'furnished', 'devices-in'];
let devicesBefore: number;

const OUTSIDE = ['root.d', 'extra-data.d', 'post-root.d', 'block-device.d', 'pre-finalise.d', 'cleanup.d'];
const INSIDE = ['pre-install.d', 'install.d', 'post-install.d', 'finalise.d'];
const ORDER = [
  'root.d',
  'extra-data.d',
  'pre-install.d',
  'install.d',
  'post-install.d',
  'post-root.d',
  'block-device.d',
  'pre-finalise.d',
  'finalise.d',
  'cleanup.d',
];

async function buildContract(): Promise<void> {
  const { write, options, work } = images;
  await write('recorder', 'environment.d/10-recorder.bash', `export RECORDED=\${RECORDED:-}x\n`);
  for (const phase of OUTSIDE)
    await write(
      'recorder',
      `${phase}/50-record`,
      `#!/bin/bash\nset -eu\nmkdir -p "$TMP_MOUNT_PATH/etc"\n[ "\${TARGET_ROOT:-$TMP_MOUNT_PATH}" = "$TMP_MOUNT_PATH" ]\necho "${phase} outside recorded=$RECORDED leaked=\${LEAKED:-no} size=\${DIB_IMAGE_SIZE:-none} target=\${TARGET_ROOT:+set}" >>"$TMP_MOUNT_PATH/etc/record"\nexport LEAKED=yes\n`,
    );
  for (const phase of INSIDE)
    await write(
      'recorder',
      `${phase}/50-record`,
      `#!/bin/sh\nset -eu\nls /tmp/in_target.d/${phase}/50-record >/dev/null\nif (echo x >/tmp/in_target.d/x) 2>/dev/null; then exit 1; fi\necho "${phase} inside recorded=$RECORDED leaked=\${LEAKED:-no} size=\${DIB_IMAGE_SIZE:-none} home=$HOME tmpdir=\${TMPDIR:-none}" >>/etc/record\nexport LEAKED=yes\n`,
    );
  const say = (word: string) => `#!/bin/sh\necho ${word} >>/etc/order\n`;
  await write('left', 'install.d/10-b', say('10-b'));
  await write('right', 'install.d/9-z', say('9-z'));
  await write('right', 'install.d/10-a', say('10-a'));
  await write('left', 'install.d/none', say('none'));
  await write('left', 'install.d/100-last', say('100-last'));
  await write('left', 'install.d/20-skipped.sh', say('skipped'));
  await write('right', 'install.d/21-not-executable', say('skipped'));
  execFileSync('chmod', ['644', join(work, 'elements/right/install.d/21-not-executable')]);
  const names =
    'ARCH DIB_CHECKSUM DIB_DEBUG_TRACE DIB_HELLO DIB_MOUNTPOINTS DIB_OFFLINE DIB_ROOT_FSTYPE DIB_ROOT_LABEL FS_TYPE IMAGE_ELEMENT IMAGE_NAME DIB_ARGS DIB_PYTHON_EXEC DIB_DEFAULT_INSTALLTYPE';
  const paths =
    'ELEMENTS_PATH DIB_IMAGE_CACHE DIB_LOCKFILES TMP_BUILD_DIR TMP_IMAGE_DIR TMP_HOOKS_PATH TMP_MOUNT_PATH DIB_BLOCK_DEVICE_PARAMS_YAML _LIB';
  await write(
    'teller',
    'extra-data.d/50-tell',
    `#!/bin/bash\nset -eu\nfor n in ${names}; do echo "$n=\${!n-unset}"; done >"$TMP_MOUNT_PATH/etc/told"\nfor n in ${paths}; do [ -e "\${!n%%:*}" ] || { echo "$n: \${!n}"; exit 1; }; done\n. "$_LIB/die"\neval "declare -A elements=($(get_image_element_array))"\necho "teller at \${elements[teller]##*/}" >>"$TMP_MOUNT_PATH/etc/told"\ngrep -q '^teller: /' <<<"$IMAGE_ELEMENT_YAML"\n[[ "$DIB_ENV" != *DIB_HELLO* ]] || grep -q 'declare -x DIB_HELLO="a b"' <<<"$DIB_ENV"\n`,
  );
  await write('furnished', 'root.d/50-resolver', '#!/bin/sh\necho own >"$TARGET_ROOT/etc/resolv.conf"\n');
  await write(
    'furnished',
    'install.d/50-look',
    '#!/bin/sh\nset -e\ncat /etc/resolv.conf >/etc/seen\n[ -e /proc/self/mountinfo ]\n[ -d /dev/pts ]\n[ -d /sys/kernel ]\nif (echo x >/sys/x) 2>/dev/null; then exit 1; fi\nmkdir -p /root\nfor f in /tmp/left /var/log/left.log /root/left.log; do echo left >$f; done\n',
  );
  await write(
    'furnished',
    'finalise.d/50-devices',
    `#!/bin/bash\nset -eu\n[ -n "$IMAGE_BLOCK_DEVICE" ]\neval "declare -A devices=($IMAGE_BLOCK_DEVICES)"\necho "\${devices[image0]}" >/etc/device\n`,
  );
  const list = 'ls /dev >';
  await write(
    'devices-in',
    'install.d/50-in',
    `#!/bin/sh\nset -e\n${list}/etc/devices-in\nchmod 600 /dev/null\nbusybox rm /dev/zero\n`,
  );
  await write(
    'devices-in',
    'extra-data.d/50-out',
    `#!/bin/sh\nset -e\n${list}"$TMP_MOUNT_PATH/etc/devices-out"\nchmod 600 /dev/null\nrm /dev/zero\n`,
  );
  devicesBefore = (await stat('/dev/null')).mode;
  process.env.DIB_HELLO = 'a b';
  await buildImage(options('contract', CONTRACT, { arguments: 'tiny and others', checksum: true }));
  delete process.env.DIB_HELLO;
}

describe('phases', () => {
  it('run in order, each in its place, with the elements’ variables and nothing that another script has set', async () => {
    const lines = images.file('contract', 'etc/record').trim().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual(ORDER);
    for (const line of lines) {
      expect(line).toContain(' recorded=x leaked=no ');
      const late = ORDER.indexOf(line.split(' ')[0]!) >= ORDER.indexOf('block-device.d');
      expect(line).toMatch(late ? / size=\d+ / : / size=none /);
      if (line.includes(' inside ')) expect(line).toContain(' home=/root tmpdir=none');
      expect(/target=set/.test(line)).toBe(/^(root|cleanup)\.d/.test(line));
    }
  });

  it('take executable files of plain names by their number, whatever element they come from', async () => {
    expect(images.file('contract', 'etc/order').trim().split('\n')).toEqual([
      'none',
      '9-z',
      '10-a',
      '10-b',
      '100-last',
    ]);
  });

  it('know the image, the elements and the caller’s DIB_ variables, and with -c none of the caller’s', async () => {
    const told = images.file('contract', 'etc/told');
    expect(told).toMatch(/^ARCH=amd64$/m);
    expect(told).toMatch(/^DIB_MOUNTPOINTS=(.*\|)?\/(\|.*)?$/m);
    for (const line of [
      'DIB_CHECKSUM=1',
      'DIB_DEBUG_TRACE=0',
      'DIB_HELLO=a b',
      'DIB_OFFLINE=',
      'DIB_ROOT_FSTYPE=ext4',
      'DIB_ROOT_LABEL=cloudimg-rootfs',
      'FS_TYPE=ext4',
      `IMAGE_ELEMENT=tiny ${CONTRACT.join(' ')}`,
      `IMAGE_NAME=${join(images.work, 'contract')}`,
      'DIB_ARGS=tiny and others',
      'DIB_DEFAULT_INSTALLTYPE=source',
      'teller at teller',
    ])
      expect(told.split('\n')).toContain(line);
    process.env.DIB_HELLO = 'a b';
    onTestFinished(() => {
      delete process.env.DIB_HELLO;
    });
    await buildImage(images.options('untold', ['teller'], { clearEnvironment: true }));
    expect(images.file('untold', 'etc/told').split('\n')).toContain('DIB_HELLO=unset');
  });

  it('see a tree that is furnished, and leave one without its resolver, /tmp and logs of the build', async () => {
    expect(images.file('contract', 'etc/seen')).toBe(await readFile('/etc/resolv.conf', 'utf8'));
    expect(images.file('contract', 'etc/resolv.conf')).toBe('own\n');
    expect(images.file('contract', 'etc/device')).toMatch(/^\/dev\//);
    expect(images.file('contract', 'var/log/left.log')).toBe('');
    const there = execFileSync('tar', ['-tf', join(images.work, 'contract.tar')], { encoding: 'utf8' });
    expect(there).not.toMatch(/tmp\/left|root\/left\.log|resolv\.conf\.ORIG|policy-rc\.d/);
  });

  it('refuse a device that block-device.d brings, instead of passing it over', async () => {
    const { write, options } = images;
    await write('devices', 'block-device.d/10-own', '#!/bin/sh\necho IMAGE_BLOCK_DEVICE=/dev/loop99\n');
    await expect(buildImage(options('devices', ['devices']))).rejects.toThrow(
      /block-device\.d\/10-own of element "devices" brings a device of its own \(\/dev\/loop99\).*DIB_BLOCK_DEVICE_CONFIG/s,
    );
  });
});

describe('the host’s devices', () => {
  it('are not within a hook’s reach, inside or outside', async () => {
    expect((await stat('/dev/null')).mode).toBe(devicesBefore);
    expect((await stat('/dev/zero')).isCharacterDevice()).toBe(true);
    for (const name of ['devices-in', 'devices-out']) {
      const there = images.file('contract', `etc/${name}`).split('\n').filter(Boolean);
      expect(there).toEqual(
        expect.arrayContaining(['full', 'null', 'ptmx', 'pts', 'random', 'shm', 'urandom', 'zero']),
      );
      expect(there.filter((device) => /^(loop|[shv]d[a-z]|nvme|mem|kvm|mapper)/.test(device))).toEqual([]);
    }
  });
});

describe('what a build leaves', () => {
  it('is a file of each type beside the caller, the manifests, and checksums; an old one keeps a date', async () => {
    const { write, options, work } = images;
    await write(
      'noted',
      'cleanup.d/90-manifest',
      '#!/bin/sh\nmkdir -p "$IMAGE_NAME.d/dib-manifests"\necho noted >"$IMAGE_NAME.d/dib-manifests/note"\n',
    );
    const types = ['tar', 'tgz', 'raw', 'qcow2', 'squashfs', 'vhd', 'docker'] as const;
    const wanted = options('left', ['noted'], { types: [...types], checksum: true });
    const { files } = await buildImage(wanted);
    for (const path of files) expect((await stat(path)).size).toBeGreaterThan(0);
    const there = await readdir(work);
    for (const ending of ['tar', 'tgz', 'raw', 'qcow2', 'squash', 'vhd']) {
      const name = there.find((each) => each === `left.${ending}` || each === `left.${ending}fs`);
      expect(name, ending).toBeDefined();
      expect(there).toEqual(expect.arrayContaining([`${name}.md5`, `${name}.sha256`]));
    }
    const sum = (await readFile(join(work, 'left.raw.sha256'), 'utf8')).split(/\s+/)[0];
    expect(execFileSync('sha256sum', [join(work, 'left.raw')], { encoding: 'utf8' })).toContain(sum);
    expect(await readFile(join(work, 'left.d/dib-manifests/note'), 'utf8')).toBe('noted\n');
    await buildImage({ ...options('left', ['noted'], { types: ['raw'], checksum: true }), keepOld: true });
    const dated = (await readdir(work)).filter((name) => /^left-[\d.]+-[\d.]+\.raw/.test(name)).sort();
    expect(dated.map((name) => name.replace(/^left-[\d.]+-[\d.]+\./, ''))).toEqual(['raw', 'raw.md5', 'raw.sha256']);
  });
});

describe('the command line', () => {
  const cli = join(import.meta.dirname, '../../services/cli/undercloud.ts');
  const build = (...words: string[]) => {
    const args = [
      '--disable-warning=ExperimentalWarning',
      cli,
      '--state',
      join(images.work, 'undercloud'),
      'image',
      'build',
    ];
    const env = { ...process.env, ELEMENTS_PATH: join(images.work, 'elements'), DIB_ASIDE: 'set' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...words], {
      cwd: images.work,
      env,
      encoding: 'utf8',
    });
    return { status, said: `${stdout}${stderr}` };
  };

  it('is disk-image-create’s: -t -o -n -c -x --checksum, relative to the caller, with no undercloud running', async () => {
    const { write, work, file } = images;
    await write(
      'told-by-cli',
      'install.d/50-tell',
      `#!/bin/sh\necho "$IMAGE_NAME|$IMAGE_ELEMENT|$DIB_ARGS|$DIB_DEBUG_TRACE|\${DIB_ASIDE-unset}" >/etc/told\n`,
    );
    const done = build('tiny', 'told-by-cli', '-n', '-c', '-x', '-x', '--checksum', '-t', 'tar,qcow2', '-o', 'by-cli');
    expect(done).toMatchObject({ status: 0 });
    expect(await readdir(work)).toEqual(
      expect.arrayContaining(
        ['tar', 'qcow2'].flatMap((type) => ['', '.md5', '.sha256'].map((sum) => `by-cli.${type}${sum}`)),
      ),
    );
    expect(file('by-cli', 'etc/told').trim()).toMatch(
      /^by-cli\|tiny told-by-cli\|.*-x -x.* tiny told-by-cli\|2\|unset$/,
    );
  });

  it('leaves a tree to look into after a failure with -x, and says which script it was', async () => {
    await images.write('fails-by-cli', 'install.d/50-fail', '#!/bin/sh\necho the last words\nexit 7\n');
    const { status, said } = build('tiny', 'fails-by-cli', '-n', '-x', '-t', 'tar', '-o', 'failed');
    expect(status).not.toBe(0);
    expect(said).toMatch(/install\.d\/50-fail of element "fails-by-cli" ended with exit code 7/);
    expect(said).toContain('the last words');
    expect(said).toMatch(/\/shell opens a shell in it/);
    expect((await readdir(images.work)).filter((name) => name.startsWith('failed'))).toEqual([]);
  });
});
