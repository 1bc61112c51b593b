import type { ColumnOptions, ValueTransformer } from 'typeorm';

const asNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};
const asJson: ValueTransformer = {
  to: (value: unknown) => (value === null || value === undefined ? value : JSON.stringify(value)),
  from: (value: string | null) => (value === null ? null : (JSON.parse(value) as unknown)),
};

/** Epoch seconds. */
export const seconds = { type: 'bigint', transformer: asNumber } satisfies ColumnOptions;
/** Epoch milliseconds. */
export const milliseconds = seconds;
/** Any JSON value, kept as text. */
export const json = { type: 'text', transformer: asJson } satisfies ColumnOptions;
