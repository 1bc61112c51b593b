import { type DynamicModule, Module } from '@nestjs/common';
import { HttpOutbound, OUTBOUND } from './http-outbound.js';
import type { Outbound } from './outbound.js';

/** Gives the whole house its one door out. */
@Module({})
export class OutboundModule {
  /** @param outbound replaces the real one: tests, or installations with a gateway of their own */
  static with(outbound?: Outbound): DynamicModule {
    const provider = outbound
      ? { provide: OUTBOUND, useValue: outbound }
      : { provide: OUTBOUND, useFactory: () => new HttpOutbound() };
    return { module: OutboundModule, global: true, providers: [provider], exports: [OUTBOUND] };
  }
}
