import { describe, expect, it } from 'vitest';
import { readDefinition } from './definition.ts';
import { applyDibArguments, definitionOf, requestedElements, withVariables } from './dib-options.ts';

describe('diskimage-builder’s options', () => {
  it('change a definition as disk-image-create would', () => {
    const words =
      '-a amd64 -t raw,qcow2 -o out/img -x -x -u -c -n -p a,b -p c --checksum --image-size 5 --mkfs-options=-O^x --root-label r --install-type package --offline --min-tmpfs 7'.split(
        ' ',
      );
    expect(applyDibArguments(definitionOf(['debian-minimal', 'vm']), words, 'here')).toMatchObject({
      name: 'img',
      output: 'out/img',
      architecture: 'amd64',
      types: ['raw', 'qcow2'],
      environment: { DIB_DEBUG_TRACE: '2', DIB_OFFLINE: '1' },
      uncompressed: true,
      clearEnvironment: true,
      base: false,
      packages: ['a', 'b', 'c'],
      checksum: true,
      imageGb: 5,
      mkfsOptions: ['-O^x'],
      rootLabel: 'r',
      installType: 'package',
    });
  });

  it('take the ending off a name when there is one type, and variables for options that were not given', () => {
    const named = (...words: string[]) => applyDibArguments(definitionOf(['x']), words, 'here');
    expect(named('-o', 'out/disk.qcow2')).toMatchObject({ output: 'out/disk', name: 'disk' });
    expect(named('-o', 'disk.raw', '-t', 'raw')).toMatchObject({ output: 'disk', name: 'disk' });
    expect(named('-o', 'disk.raw', '-t', 'raw,qcow2')).toMatchObject({ output: 'disk.raw' });
    const variables = { DIB_IMAGE_SIZE: '5', DIB_JOURNAL_SIZE: '32', DIB_CHECKSUM: '1', DIB_IMAGE_EXTRA_SIZE: '' };
    expect(withVariables(definitionOf(['x']), variables)).toMatchObject({ imageGb: 5, journalMib: 32, checksum: true });
    expect(withVariables({ ...definitionOf(['x']), imageGb: 7 }, variables)).toMatchObject({ imageGb: 7 });
    expect(() => withVariables(definitionOf(['x']), { DIB_IMAGE_SIZE: 'big' })).toThrow(/DIB_IMAGE_SIZE.*"big"/);
  });

  it('are refused when they are unknown, bare or no number', () => {
    const apply =
      (...words: string[]) =>
      () =>
        applyDibArguments(definitionOf(['x']), words, 'here');
    expect(apply('--imagesize', '5')).toThrow('here: there is no option "--imagesize"');
    expect(apply('-o')).toThrow('needs a value');
    expect(apply('--image-size', 'large')).toThrow('"large", which is not a number');
  });

  it('put base first, a ramdisk before it, and a block device under vm', () => {
    expect(requestedElements(definitionOf(['debian-minimal', 'vm']), 'amd64')).toEqual([
      'base',
      'debian-minimal',
      'vm',
      'block-device-mbr',
    ]);
    expect(requestedElements(definitionOf(['vm', 'block-device-efi']), 'amd64')).toEqual([
      'base',
      'vm',
      'block-device-efi',
    ]);
    expect(requestedElements(definitionOf(['vm']), 'arm64')).toEqual(['base', 'vm', 'block-device-efi']);
    expect(requestedElements({ ...definitionOf(['d']), ramdiskElement: 'ramdisk', base: false }, 'amd64')).toEqual([
      'ramdisk',
      'd',
    ]);
  });

  it('come from YAML too, TripleO’s options among it', () => {
    const read = (entry: object) => readDefinition(entry, 'x.yaml', 'dib');
    expect(
      read({
        imagename: 'o',
        arch: 'x86_64',
        type: 'qcow2',
        elements: ['base', 'vm'],
        packages: ['a'],
        options: ['--min-tmpfs 7', '-n'],
      }),
    ).toMatchObject({ name: 'o', architecture: 'amd64', types: ['qcow2'], base: false });
    expect(read({ imagename: 'o', elements: 'debian-minimal vm', 'image-size': 4, checksum: true })).toMatchObject({
      base: true,
      imageGb: 4,
      checksum: true,
    });
    expect(() => read({ imagename: 'o', elements: ['a'], 'image-size': 'big' })).toThrow(
      '"image-size" of image "o" is "big"',
    );
  });
});
