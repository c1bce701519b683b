/** The code, or else the name, of what `run` throws or rejects with; `undefined` if it does not. For code inside the page. */
export async function codeOf(run: () => unknown): Promise<unknown> {
  try {
    await run();
    return undefined;
  } catch (error) {
    const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
    return typeof code === 'string' ? code : name;
  }
}
