/** What the bench uses of it. */
declare module 'make-fetch-happen' {
  const fetch: { defaults(options: { readonly cachePath: string }): (url: string) => Promise<Response> };
  export default fetch;
}
