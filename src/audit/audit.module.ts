import { Global, Module } from '@nestjs/common';
import { Events } from './events.js';

/** The audit log. */
@Global()
@Module({ providers: [Events], exports: [Events] })
export class AuditModule {}
