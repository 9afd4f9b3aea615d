/** The JSON schema of an image, as Glance publishes it: the stock client warlock-checks documents against it. */
const text = (description: string, more: object = {}) => ({ type: ['null', 'string'], description, ...more });

export const imageSchema = {
  name: 'image',
  properties: {
    id: {
      type: 'string',
      description: 'An identifier for the image',
      pattern: '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$',
    },
    name: text('Descriptive name for the image', { maxLength: 255 }),
    status: {
      type: 'string',
      description: 'Status of the image',
      readOnly: true,
      enum: [
        'queued',
        'saving',
        'active',
        'killed',
        'deleted',
        'pending_delete',
        'deactivated',
        'uploading',
        'importing',
      ],
    },
    visibility: {
      type: 'string',
      description: 'Scope of image accessibility',
      enum: ['public', 'private', 'shared', 'community'],
    },
    protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
    os_hidden: { type: 'boolean', description: 'If true, image will not appear in default image list response.' },
    checksum: text('md5 hash of image contents.', { readOnly: true, maxLength: 32 }),
    os_hash_algo: text('Algorithm to calculate the os_hash_value', { readOnly: true, maxLength: 64 }),
    os_hash_value: text('Hexdigest of the image contents using the algorithm specified by the os_hash_algo', {
      readOnly: true,
      maxLength: 128,
    }),
    owner: text('Owner of the image', { maxLength: 255 }),
    size: { type: ['null', 'integer'], description: 'Size of image file in bytes', readOnly: true },
    virtual_size: { type: ['null', 'integer'], description: 'Virtual size of image in bytes', readOnly: true },
    container_format: text('Format of the container', {
      enum: [null, 'ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'],
    }),
    disk_format: text('Format of the disk', {
      enum: [null, 'ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'],
    }),
    created_at: { type: 'string', description: 'Date and time of image registration', readOnly: true },
    updated_at: { type: 'string', description: 'Date and time of the last image modification', readOnly: true },
    tags: {
      type: 'array',
      description: 'List of strings related to the image',
      items: { type: 'string', maxLength: 255 },
    },
    min_ram: { type: 'integer', description: 'Amount of ram (in MB) required to boot image.' },
    min_disk: { type: 'integer', description: 'Amount of disk space (in GB) required to boot image.' },
    self: { type: 'string', description: 'An image self url', readOnly: true },
    file: { type: 'string', description: 'An image file url', readOnly: true },
    schema: { type: 'string', description: 'An image schema url', readOnly: true },
  },
  additionalProperties: { type: 'string' },
  links: [
    { rel: 'self', href: '{self}' },
    { rel: 'enclosure', href: '{file}' },
    { rel: 'describedby', href: '{schema}' },
  ],
} as const;

export const memberSchema = {
  name: 'member',
  properties: {
    member_id: { type: 'string', description: 'An identifier for the image member (tenantId)' },
    image_id: {
      type: 'string',
      description: 'An identifier for the image',
      pattern: imageSchema.properties.id.pattern,
    },
    created_at: { type: 'string', description: 'Date and time of image member creation' },
    updated_at: { type: 'string', description: 'Date and time of last modification of image member' },
    status: {
      type: 'string',
      description: 'The status of this image member',
      enum: ['pending', 'accepted', 'rejected'],
    },
    schema: { type: 'string', readOnly: true },
  },
} as const;

export const taskSchema = {
  name: 'task',
  properties: {
    id: { type: 'string', description: 'An identifier for the task', pattern: imageSchema.properties.id.pattern },
    type: { type: 'string', description: 'The type of task', enum: ['import', 'api_image_import', 'image_convert'] },
    status: {
      type: 'string',
      description: 'The current status of this task',
      enum: ['pending', 'processing', 'success', 'failure'],
    },
    image_id: { type: 'string', description: 'The image that the task works on' },
    owner: { type: 'string', description: 'An identifier for the owner of this task' },
    message: { type: 'string', description: 'Human-readable informative message' },
    created_at: { type: 'string', description: 'Datetime when this resource was created' },
    updated_at: { type: 'string', description: 'Datetime when this resource was updated' },
    schema: { type: 'string', readOnly: true },
  },
} as const;

export const listOf = (name: string, item: object) => ({
  name,
  properties: { [name]: { type: 'array', items: item } },
  links: [],
});
