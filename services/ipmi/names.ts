// Names of commands, as the specification's appendix G gives them: for the flight recorder and for error sentences.

const NAMES: Readonly<Record<number, string>> = {
  0: 'Get Chassis Capabilities',
  1: 'Get Chassis Status',
  2: 'Chassis Control',
  4: 'Chassis Identify',
  6: 'Set Power Restore Policy',
  7: 'Get System Restart Cause',
  8: 'Set System Boot Options',
  9: 'Get System Boot Options',
  15: 'Get POH Counter',
  1062: 'Set Sensor Thresholds',
  1063: 'Get Sensor Thresholds',
  1069: 'Get Sensor Reading',
  1537: 'Get Device ID',
  1538: 'Cold Reset',
  1539: 'Warm Reset',
  1540: 'Get Self Test Results',
  1544: 'Get Device GUID',
  1570: 'Reset Watchdog Timer',
  1572: 'Set Watchdog Timer',
  1573: 'Get Watchdog Timer',
  1591: 'Get System GUID',
  1592: 'Get Channel Authentication Capabilities',
  1593: 'Get Session Challenge',
  1594: 'Activate Session',
  1595: 'Set Session Privilege Level',
  1596: 'Close Session',
  1597: 'Get Session Info',
  1603: 'Set User Access',
  1604: 'Get User Access',
  1605: 'Set User Name',
  1606: 'Get User Name',
  1607: 'Set User Password',
  1608: 'Activate Payload',
  1609: 'Deactivate Payload',
  1620: 'Get Channel Cipher Suites',
  2576: 'Get FRU Inventory Area Info',
  2577: 'Read FRU Data',
  2592: 'Get SDR Repository Info',
  2594: 'Reserve SDR Repository',
  2595: 'Get SDR',
  2624: 'Get SEL Info',
  2626: 'Reserve SEL',
  2627: 'Get SEL Entry',
  2631: 'Clear SEL',
  2632: 'Get SEL Time',
  2633: 'Set SEL Time',
  3073: 'Set LAN Configuration Parameters',
  3074: 'Get LAN Configuration Parameters',
  3105: 'Set SOL Configuration Parameters',
  3106: 'Get SOL Configuration Parameters',
};

/** `Get Chassis Status`, or `command 0x2c 0x3e` for one without a name here. */
export function commandName(netfn: number, cmd: number): string {
  return (
    NAMES[(netfn << 8) | cmd] ??
    `command 0x${netfn.toString(16).padStart(2, '0')} 0x${cmd.toString(16).padStart(2, '0')}`
  );
}
