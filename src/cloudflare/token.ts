/** The subprotocol that a browser names before its token, and hears back. */
export const PROTOCOL = 'soloflight';

/**
 * The token that `request` shows: in `authorization: Bearer …`, or, since browsers send no headers with a WebSocket, as the
 * subprotocol after `soloflight`: `new WebSocket(url, ['soloflight', token])`. For the option `authorize`.
 */
export function tokenOf(request: Request): string | undefined {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  const [protocol, token] = protocolsOf(request);
  return bearer ?? (protocol === PROTOCOL ? token : undefined);
}

/** The subprotocols that `request` names. */
export function protocolsOf({ headers }: Request): string[] {
  return (headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim());
}
