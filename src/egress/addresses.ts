import ipaddr from 'ipaddr.js';

/**
 * Where an IP address leads. `public` is the only kind that is reachable without an operator's
 * word; `private` may be opened by the name of a host; the rest only by the address itself.
 */
export type AddressKind = 'public' | 'private' | 'link_local' | 'metadata' | 'reserved';

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * Cloud services that hand out credentials to whoever asks from inside. Most lie in special ranges
 * anyway; Azure's doesn't.
 */
const METADATA_ADDRESSES = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd00:ec2::23',
  'fd20:ce::254',
]);

const PRIVATE_RANGES = new Set(['loopback', 'private', 'carrierGradeNat', 'uniqueLocal']);

/** All that IANA gives out as global unicast (RFC 4291); `::127.0.0.1` and its like lie outside. */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** NAT64's well-known prefix (RFC 6052): what DNS64 answers on an IPv6-only network. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/**
 * Reads an address as a resolver or a socket writes it: a zone is dropped, an IPv4-mapped address
 * becomes its IPv4 address. Null when it isn't an address.
 */
export function parseAddress(text: string): IpAddress | null {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const address = readAddress(text);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  if (text.length <= LONGEST_ADDRESS) parsed.set(text, address);
  return address;
}

/** A literal is judged again for each request to it. Nothing changes an address that was parsed. */
const parsed = new Map<string, IpAddress | null>();
const MAX_PARSED = 1_000;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const LONGEST_ADDRESS = 45;

function readAddress(text: string): IpAddress | null {
  const bare = text.replace(/%.*$/, '');
  // The parser takes the long dead IPv4-compatible form for the mapped one; the kernel doesn't.
  if (/^::\d+\./.test(bare)) return null;
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : null;
}

/** Says where an address leads; whatever can't be read as an address is `reserved`. */
export function classifyAddress(text: string): AddressKind {
  const address = parseAddress(text);
  return address === null ? 'reserved' : kindOf(address);
}

function kindOf(address: IpAddress): AddressKind {
  if (METADATA_ADDRESSES.has(address.toString())) return 'metadata';
  if (isV6(address) && address.match(NAT64)) return kindOf(embeddedV4(address));
  const range = address.range();
  if (PRIVATE_RANGES.has(range)) return 'private';
  if (range === 'linkLocal') return 'link_local';
  // 6to4, Teredo and the other tunnels carry an IPv4 address of the sender's choice: never public.
  if (range !== 'unicast') return 'reserved';
  return !isV6(address) || address.match(GLOBAL_UNICAST_V6) ? 'public' : 'reserved';
}

function isV6(address: IpAddress): address is ipaddr.IPv6 {
  return address.kind() === 'ipv6';
}

function embeddedV4(address: ipaddr.IPv6): ipaddr.IPv4 {
  return new ipaddr.IPv4(address.toByteArray().slice(12));
}
