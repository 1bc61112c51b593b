import { Global, Module } from '@nestjs/common';
import { EventCounts } from './event-counts.js';
import { EventList } from './event-list.js';
import { Events } from './events.js';
import { FlowList } from './flow-list.js';
import { Flows } from './flows.js';
import { Retention } from './retention.js';

/** The audit log. */
@Global()
@Module({
  providers: [EventCounts, EventList, Events, FlowList, Flows, Retention],
  exports: [EventCounts, EventList, Events, FlowList, Flows],
})
export class AuditModule {}
