/** The address without the port; one of IPv4 in the form of IPv6 as IPv4. */
export function addressOf(remote: string): string {
  return remote.slice(0, remote.lastIndexOf(':')).replace(/^::ffff:(?=\d+\.)/, '');
}

/** Address and port, where an address of IPv6 has brackets. */
export function shownAddress(remote: string): string {
  const address = addressOf(remote);
  const port = remote.slice(remote.lastIndexOf(':'));
  return address.includes(':') ? `[${address}]${port}` : `${address}${port}`;
}
