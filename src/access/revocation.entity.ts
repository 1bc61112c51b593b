import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { seconds } from '../persistence/columns.js';

/** What a revocation cuts off; `widened` cuts off nothing: what nodes remember of this Grant is out of date. */
export type RevocationKind = 'token' | 'grant' | 'user' | 'client' | 'widened';

/** One line of the append-only log by which every node learns of revocations. */
@Entity('revocation_log')
export class RevocationRow {
  @PrimaryGeneratedColumn('increment') id!: number;
  @Column({ ...seconds }) at!: number;
  @Column('text') kind!: RevocationKind;
  /** Id of the token, grant, user or client. */
  @Column('text') target!: string;
}
