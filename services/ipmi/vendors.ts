// IANA enterprise numbers that BMCs give in Get Device ID, and whose they are (iana.org/assignments/enterprise-numbers). Only
// makers of servers and of BMC firmware; another number is shown as it is.

export const VENDORS: Readonly<Record<number, string>> = {
  2: 'IBM',
  11: 'Hewlett-Packard',
  42: 'Oracle',
  119: 'NEC',
  343: 'Intel',
  674: 'Dell',
  2011: 'Huawei',
  4769: 'IBM',
  5771: 'Cisco',
  6653: 'Tyan',
  7154: 'IPMI forum',
  7244: 'Quanta',
  10368: 'Fujitsu',
  10876: 'Supermicro',
  15370: 'Gigabyte',
  19046: 'Lenovo',
  20301: 'IBM',
  20974: 'AMI',
  37945: 'Inspur',
  40092: 'Wiwynn',
  47196: 'Hewlett Packard Enterprise',
  47488: 'Supermicro',
  49622: 'ASRock Rack',
  49769: 'YADRO',
  49871: 'OpenBMC',
};

export const vendorOf = (manufacturer: number): string | undefined => VENDORS[manufacturer];
