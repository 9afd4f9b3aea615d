/** The service catalog as data: one row a dialect, its path on the one API port. `{project}` is the token's project. */
export interface CatalogRow {
  readonly type: string;
  readonly name: string;
  readonly path: string;
}

export const catalogRows: readonly CatalogRow[] = [
  { type: 'identity', name: 'keystone', path: '/identity/v3' },
  { type: 'baremetal', name: 'ironic', path: '/baremetal' },
  { type: 'orchestration', name: 'heat', path: '/orchestration/v1/{project}' },
  { type: 'cloudformation', name: 'heat-cfn', path: '/cfn/v1' },
  { type: 'image', name: 'glance', path: '/image' },
  { type: 'compute', name: 'nova', path: '/compute/v2.1' },
  { type: 'network', name: 'neutron', path: '/network' },
  { type: 'object-store', name: 'swift', path: '/object/v1/AUTH_{project}' },
  { type: 'undercloud-boot', name: 'undercloud-boot', path: '/boot' },
];

/** Ids only have to be stable and unlike one another: clients use them as keys. */
const serviceId = (row: CatalogRow) => Buffer.from(`service:${row.type}`.padEnd(16, '.')).toString('hex').slice(0, 32);
const endpointId = (row: CatalogRow, side: string) =>
  Buffer.from(`${side}:${row.type}`.padEnd(16, '.')).toString('hex').slice(0, 32);

const sides = ['public', 'internal', 'admin'] as const;

export function catalog(base: string, region: string, projectId: string | null) {
  return catalogRows
    .filter((row) => projectId !== null || !row.path.includes('{project}'))
    .map((row) => ({
      id: serviceId(row),
      type: row.type,
      name: row.name,
      endpoints: sides.map((side) => ({
        id: endpointId(row, side),
        interface: side,
        region,
        region_id: region,
        url: base + row.path.replace('{project}', projectId ?? ''),
      })),
    }));
}

export const services = () =>
  catalogRows.map((row) => ({ id: serviceId(row), type: row.type, name: row.name, enabled: true }));

export const endpoints = (base: string, region: string) =>
  catalogRows.flatMap((row) =>
    sides.map((side) => ({
      id: endpointId(row, side),
      service_id: serviceId(row),
      interface: side,
      region,
      region_id: region,
      enabled: true,
      url: base + row.path.replace('{project}', '%(project_id)s'),
    })),
  );
