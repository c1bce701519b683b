/** The fields of one line. Values are never among them. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

/** Where lines go: pino, `console`, or whatever takes fields and a message. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}
