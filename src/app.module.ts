import { type DynamicModule, Module } from '@nestjs/common';
import type { Settings } from './config/settings.js';
import { GatehouseModule } from './gatehouse.module.js';

/** What `npm start` serves: the house and the shipped tools. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return { module: AppModule, imports: [GatehouseModule.with(settings)] };
  }
}
