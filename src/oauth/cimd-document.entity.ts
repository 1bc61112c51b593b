import { Column, Entity, PrimaryColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** The last good copy of a client ID metadata document, or of a JWKS such a document names. */
@Entity('cimd_document')
export class CimdDocumentRow {
  @PrimaryColumn('text') url!: string;
  @Column('text') body!: string;
  @Column('text', { name: 'content_type' }) contentType!: string;
  @Column({ name: 'fetched_at', ...seconds }) fetchedAt!: number;
  /** Answered without a fetch until here. */
  @Column({ name: 'fresh_until', ...seconds }) freshUntil!: number;
  /** When its host first said 404 or 410; null: it has not. */
  @Column({ name: 'gone_at', nullable: true, ...seconds }) goneAt!: number | null;
}
