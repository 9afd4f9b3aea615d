/** The floors of the house, lowest first, as data: the import rule is checked against it and migrations run in its order. */
export const protocols = ['ipmi', 'redfish', 'dhcp', 'tftp', 'ipa'] as const;

/** Services on one line are on one floor and do not import one another, save that `orchestration` stands on `compute`. */
export const floors: readonly (readonly string[])[] = [
  ['core', ...protocols],
  ['identity', 'image', 'power'],
  ['network'],
  ['baremetal'],
  ['boot'],
  ['compute'],
  ['orchestration'],
  ['overcloud'],
  ['telemetry'],
];

/** Outside the floors: they stand beside the appliance and may use what is named here. */
export const beside: Readonly<Record<string, readonly string[]>> = {
  agent: ['ipa'],
  builder: ['core', 'ipa'],
  lab: ['core', 'ipmi', 'redfish'],
  ui: ['core'],
  cli: ['core', 'builder', 'lab', 'bootstrap', 'serve'],
};
