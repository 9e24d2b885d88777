/** Clouds that the components and the catalogue of machines know. */
export const CLOUDS = ['aws', 'gcp', 'azure', 'alibaba', 'tencent'] as const;
export type Cloud = (typeof CLOUDS)[number];
