import { VersioningType } from '@nestjs/common';
import { VERSION_METADATA } from '@nestjs/common/constants.js';
import { type ApplicationConfig, MetadataScanner, type ModulesContainer } from '@nestjs/core';

/** What URI versioning puts before the paths of the application's routes: `v1`, `v2`. */
export function versionSegments(application: ApplicationConfig, modules: ModulesContainer): string[] {
  const versioning = application.getVersioning();
  if (versioning?.type !== VersioningType.URI) {
    return [];
  }
  const prefix = versioning.prefix === false ? '' : (versioning.prefix ?? 'v');
  const controllers = [...modules.values()].flatMap((module) => [...module.controllers.values()]);
  const versions = [versioning.defaultVersion, ...controllers.flatMap(({ metatype }) => versionsOn(metatype))].flat();
  const texts = versions.filter((version) => typeof version === 'string');
  return [...new Set(texts)].map((version) => `${prefix}${version}`);
}

/** The versions that stand on a controller and on its methods. */
function versionsOn(controller: unknown): unknown[] {
  if (typeof controller !== 'function') {
    return [];
  }
  const prototype = controller.prototype as Record<string, object>;
  const methods = new MetadataScanner().getAllMethodNames(prototype).map((name) => prototype[name] ?? controller);
  return [controller, ...methods].flatMap((marked): unknown => Reflect.getMetadata(VERSION_METADATA, marked));
}
