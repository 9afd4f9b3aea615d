/**
 * The Glance client library of Debian, which the `glance` command and Heat's image constraint are made of, against the image API. It checks
 * every document against the schemas that it is given, and it knows the calls that the `openstack` client has no word for.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { imageServer, MiB } from '../../test/setup/image-server.ts';

const program = `
import hashlib, json, sys
from glanceclient import Client, exc
url, token, disk = sys.argv[1:]
glance = Client('2', endpoint=url, token=token)
said = {}

# Schemas, and what a document that breaks one is told before it is sent.
said['schemas'] = [glance.schemas.get(name).name for name in ('image', 'images', 'member', 'members', 'task', 'tasks')]
try:
    glance.images.create(name='x', min_disk='many')
    said['typed'] = 'taken'
except TypeError:
    said['typed'] = 'refused'

# Properties and tags come with an image and change later.
image = glance.images.create(name='gold', disk_format='raw', container_format='bare', tags=['web'], os_distro='debian')
glance.image_tags.update(image.id, 'blue')
glance.image_tags.delete(image.id, 'web')
image = glance.images.update(image.id, remove_props=['os_distro'], os_version='12', min_disk=1)
said['changed'] = [sorted(image.tags), 'os_distro' in image, image.os_version, image.min_disk]

# Upload and download: the client compares what it gets with os_hash_value, or with checksum.
data = open(disk, 'rb').read()
glance.images.upload(image.id, open(disk, 'rb'), image_size=len(data))
image = glance.images.get(image.id)
said['sums'] = [
    image.status, image.size, image.os_hash_algo,
    image.os_hash_value == hashlib.sha512(data).hexdigest(), image.checksum == hashlib.md5(data).hexdigest(),
]
said['back'] = b''.join(glance.images.data(image.id)) == data
said['insecure'] = b''.join(glance.images.data(image.id, allow_md5_fallback=True)) == data

# Staged, then imported; and what ways of importing there are.
said['imports'] = sorted(glance.images.get_import_info()['import-methods']['value'])
staged = glance.images.create(name='staged', disk_format='raw', container_format='bare')
glance.images.stage(staged.id, open(disk, 'rb'))
said['staged'] = glance.images.get(staged.id).status
glance.images.image_import(staged.id, method='glance-direct')
said['tasks'] = [task['type'] for task in glance.images.get_associated_image_tasks(staged.id)['tasks']]

# Members, as owner.
glance.images.update(image.id, visibility='shared')
glance.image_members.create(image.id, 'f' * 32)
said['members'] = [(each.member_id, each.status) for each in glance.image_members.list(image.id)]
glance.image_members.delete(image.id, 'f' * 32)

# Pages of two, sorted and filtered, as generators that follow the links.
for number in range(5):
    glance.images.create(name='page', tags=['paged'], disk_format='raw', container_format='bare', number=str(number))
pages = glance.images.list(page_size=2, filters={'tag': ['paged'], 'status': 'queued'}, sort_key=['created_at'], sort_dir=['asc'])
said['pages'] = [each.number for each in pages]
said['by property'] = [each.name for each in glance.images.list(filters={'os_version': '12'})]

# What Heat asks to resolve the name or the id of an image (heat/engine/clients/os/glance.py).
said['heat'] = [glance.images.get(image.id).id == image.id, [each.id for each in glance.images.list(filters={'name': 'gold'})] == [image.id]]
try:
    glance.images.get('gold')
    said['heat'].append('found')
except exc.HTTPNotFound:
    said['heat'].append('not found')

glance.images.deactivate(image.id)
try:
    list(glance.images.data(image.id))
except exc.HTTPForbidden as error:
    said['withheld'] = 'withheld' in str(error)
glance.images.reactivate(image.id)
said['usage'] = sorted(glance.info.get_usage())
said['metadefs'] = [list(glance.metadefs_namespace.list()), list(glance.metadefs_resource_type.list())]
glance.images.update(image.id, protected=True)
try:
    glance.images.delete(image.id)
except exc.HTTPForbidden:
    glance.images.update(image.id, protected=False)
    glance.images.delete(image.id)
    said['deleted'] = 'gold' not in [each.name for each in glance.images.list()]
print(json.dumps(said))
`;

it('answers every call of the client library in the shapes that its schemas have', async () => {
  const server = await imageServer();
  onTestFinished(() => server.close());
  await server.world.operations.run({ sole: true });
  const disk = join(server.dir, 'disk.raw');
  writeFileSync(disk, randomBytes(2 * MiB));
  const { stdout } = await promisify(execFile)('/usr/bin/python3', [
    '-c',
    program,
    `${server.url}/image`,
    server.token,
    disk,
  ]);
  expect(JSON.parse(stdout)).toEqual({
    schemas: ['image', 'images', 'member', 'members', 'task', 'tasks'],
    typed: 'refused',
    changed: [['blue'], false, '12', 1],
    sums: ['active', 2 * MiB, 'sha512', true, true],
    back: true,
    insecure: true,
    imports: ['glance-direct', 'web-download'],
    staged: 'uploading',
    tasks: ['api_image_import'],
    members: [['f'.repeat(32), 'pending']],
    pages: ['0', '1', '2', '3', '4'],
    'by property': ['gold'],
    heat: [true, true, 'not found'],
    withheld: true,
    usage: ['image_count_total', 'image_count_uploading', 'image_size_total', 'image_stage_total'],
    metadefs: [[], []],
    deleted: true,
  });
}, 60_000);
