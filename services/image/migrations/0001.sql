create schema image;

create table image.images (
  id uuid primary key,
  name text,
  owner text not null,
  status text not null check (status in ('queued', 'saving', 'active', 'killed', 'deactivated')),
  visibility text not null check (visibility in ('public', 'private', 'shared', 'community')),
  disk_format text,
  container_format text,
  size bigint,
  virtual_size bigint,
  checksum text,
  os_hash_algo text,
  os_hash_value text,
  min_disk int not null default 0,
  min_ram int not null default 0,
  protected boolean not null default false,
  os_hidden boolean not null default false,
  tags text[] not null default '{}',
  properties jsonb not null default '{}',
  -- What the image's bytes are: a plain stream under `stream/<id>`, or the chunks of this index.
  chunk_index_sha256 text,
  manifest jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index images_by_age on image.images (created_at desc, id desc);
create index images_by_name on image.images (name);

-- Which images use which packed object; an object that no image uses may be dropped.
create table image.objects (
  sha256 text not null,
  image_id uuid not null references image.images (id) on delete cascade,
  size bigint not null,
  primary key (image_id, sha256)
);
create index objects_by_hash on image.objects (sha256);
