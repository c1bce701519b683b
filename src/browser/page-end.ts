/** The part of a window that is used here. */
interface Window {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/** Calls `leave` whenever the page goes, if only into the history, until the returned function is called. */
export function onPageEnd(leave: () => void): () => void {
  const window = globalThis as Window;
  window.addEventListener?.('pagehide', leave);
  return () => window.removeEventListener?.('pagehide', leave);
}
