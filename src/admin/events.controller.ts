import { Readable } from 'node:stream';
import { Inject, StreamableFile } from '@nestjs/common';
import { type EventFilter, EventList } from '../audit/event-list.js';
import { Events } from '../audit/events.js';
import { readCursor, writeCursor } from './cursor.js';
import { eventFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, operation, Serves } from './operation.js';
import { eventQuery, eventSchema } from './event-schemas.js';
import { pageOf } from './paging.js';

/** GET /events */
export const listEvents = operation({
  id: 'listEvents',
  method: 'get',
  path: '/events',
  tag: 'Audit',
  summary: 'The audit log, newest first',
  description:
    'With `Accept: application/x-ndjson` everything that fits is streamed, one Event a line, oldest first; `limit` and `cursor` do not apply.',
  query: eventQuery,
  status: 200,
  answer: pageOf(eventSchema),
  ndjson: true,
});

/** `/admin/v1/events`. */
@AdminApi()
export class EventsController {
  constructor(
    @Inject(EventList) private readonly list: EventList,
    @Inject(Events) private readonly events: Events,
  ) {}

  @Serves(listEvents)
  async page({ query, by, request }: Ask<typeof listEvents>): Promise<Answer<typeof listEvents>> {
    const { limit, cursor, ...filter } = query;
    if (request.headers.accept?.includes('application/x-ndjson')) {
      await this.events.write({ type: 'events.exported', ...by, detail: { ...filter } });
      return new StreamableFile(Readable.from(this.#lines(filter), { highWaterMark: 1 }), {
        type: 'application/x-ndjson',
      });
    }
    const { items, next } = await this.list.page(filter, { after: readCursor('events', cursor), limit });
    return { items: items.map(eventFacts), next_cursor: next && writeCursor('events', next) };
  }

  /** A page at a time, read when the receiver has taken the one before. */
  async *#lines(filter: EventFilter): AsyncGenerator<string> {
    for await (const page of this.list.export(filter))
      yield page.map((event) => `${JSON.stringify(eventFacts(event))}\n`).join('');
  }
}
