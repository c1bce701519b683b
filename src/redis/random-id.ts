const LENGTH = 16;

/** 16 random letters and digits, drawn when they are first needed: Workers have no chance while a module is loaded. */
export class RandomId {
  #text: string | undefined;

  get text(): string {
    this.#text ??= crypto.randomUUID().replaceAll('-', '').slice(0, LENGTH);
    return this.#text;
  }
}
