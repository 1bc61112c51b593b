import ipaddr from 'ipaddr.js';

/**
 * May a stranger's URL make us dial this address? Only global unicast: nothing on this host, this network or in a special-use registry
 * (RFC 6890). Addresses that carry an IPv4 address are judged by it where the network translates them (mapped, NAT64), refused where they tunnel
 * (6to4, Teredo).
 */
export function isGlobalUnicast(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4) return isGlobalIPv4(parsed);
  if (parsed.zoneId) return false;
  if (parsed.isIPv4MappedAddress()) return isGlobalIPv4(parsed.toIPv4Address());
  if (parsed.match(NAT64)) return isGlobalIPv4(new ipaddr.IPv4(parsed.toByteArray().slice(12)));
  return parsed.range() === 'unicast' && parsed.match(ALLOCATED);
}

/** RFC 6052 §2.1, the well-known prefix: what DNS64 answers for IPv4-only hosts. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** The only block IANA allocates global unicast addresses from. */
const ALLOCATED = ipaddr.IPv6.parseCIDR('2000::/3');

function isGlobalIPv4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast';
}
