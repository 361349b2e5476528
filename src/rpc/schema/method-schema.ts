import type { z } from 'zod';

/** Example in JSON, as a client sends and sees it; a test checks each against its schemas. */
export interface MethodExample {
  readonly params: Readonly<Record<string, unknown>>;
  readonly result: unknown;
}

/** One method: JSON in, the in-memory form of interface.ts out. */
export interface MethodSchema<Params, Result> {
  readonly summary: string;
  readonly description: string;
  readonly params: z.ZodObject & z.ZodType<Params>;
  readonly result: z.ZodType<Result>;
  readonly example: MethodExample;
  /** It holds bytes or amounts, for which JSON has no form of its own: converted before it is sent. */
  readonly isConverted?: true;
}

/** One subscription; its call answers `{ subscription }`, then events follow as notifications. */
export interface SubscriptionSchema<Params, Event> {
  readonly summary: string;
  readonly description: string;
  readonly params: z.ZodObject & z.ZodType<Params>;
  readonly event: z.ZodType<Event>;
  readonly example: { readonly params: Readonly<Record<string, unknown>>; readonly event: unknown };
}
