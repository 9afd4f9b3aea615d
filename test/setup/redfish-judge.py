# OpenStack's Redfish client as the judge of our BMC half: what it reads and does is printed as JSON, one object.
import json
import sys

import sushy
from sushy import auth, exceptions

address, user, password = sys.argv[1:4]


def connect(secret, basic=False):
    make = auth.BasicAuth if basic else auth.SessionAuth
    return sushy.Sushy(address, verify=False, auth=make(username=user, password=secret))


root = connect(password)
system = root.get_system_collection().get_members()[0]
manager = root.get_manager_collection().get_members()[0]
told = {
    'version': root.redfish_version,
    'before': str(system.power_state.value),
    'model': system.json.get('Model'),
    'resets': sorted(value.value for value in system.get_allowed_reset_system_values()),
    'targets': sorted(value.value for value in system.get_allowed_system_boot_source_values()),
    'processors': system.processors.summary.count,
    'macs': sorted(system.ethernet_interfaces.summary),
    'drives': [drive.capacity_bytes for store in system.storage.get_members() for drive in store.drives],
    'manager': manager.firmware_version,
    'chassis': [chassis.identity for chassis in system.chassis],
}
# HPE's mode is read-only.
mode = None if told['model'].startswith('ProLiant') else sushy.BOOT_SOURCE_MODE_UEFI
system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_PXE, sushy.BOOT_SOURCE_ENABLED_ONCE, mode)
system.refresh(force=True)
told['boot'] = [str(value.value) for value in (system.boot.target, system.boot.enabled, system.boot.mode)]
system.reset_system(sushy.RESET_ON)
system.refresh(force=True)
told['after'] = str(system.power_state.value)
told['spent'] = str(system.boot.enabled.value)
if 'VirtualMedia' in manager.json:
    slot = [one for one in manager.virtual_media.get_members() if 'CD' in [kind.value for kind in one.media_types]][-1]
    try:
        slot.insert_media('http://192.0.2.1/boot.iso')
        slot.refresh(force=True)
        told['media'] = [slot.image, slot.inserted]
        slot.eject_media()
        slot.refresh(force=True)
        told['ejected'] = not slot.inserted
    except exceptions.BadRequestError as error:
        told['media'] = [error.code, error.detail]
try:
    connect('wrong').get_system_collection()
    told['wrong'] = 'let in'
except exceptions.AccessError:
    told['wrong'] = 'refused'
told['basic'] = len(connect(password, basic=True).get_system_collection().members_identities)
try:
    root._auth.close()
except exceptions.ConnectionError:
    # It goes to the host that Location names, which is the BMC's own name here.
    told['elsewhere'] = True
print(json.dumps(told))
