"use strict";
// HEALPix, RING order, for unit vectors: formulas of Gorski et al. 2005, ApJ 622, 759, section 4 and 5.
const Healpix = (() => {
  // Pixel that holds the direction (x, y, z).
  function pixelOf(nside, x, y, z) {
    const away = Math.abs(z);
    let turn = Math.atan2(y, x) / (Math.PI / 2);  // longitude in quarters of a turn, [0, 4)
    if (turn < 0) turn += 4;
    if (turn >= 4) turn -= 4;
    if (away <= 2 / 3) {
      const middle = nside * (0.5 + turn), slope = 0.75 * nside * z;
      const rising = Math.floor(middle - slope), falling = Math.floor(middle + slope);
      const ring = nside + 1 + rising - falling;  // from 1 at z = 2/3
      const shift = 1 - (ring & 1);
      const column = (rising + falling - nside + shift + 1) >> 1;
      const count = 4 * nside;
      return 2 * nside * (nside - 1) + (ring - 1) * count + ((column % count) + count) % count;
    }
    const part = turn - Math.floor(turn);
    // sqrt(3 (1 - |z|)) written with the distance from the axis, which keeps its digits near the poles.
    const reach = nside * Math.sqrt(x * x + y * y) * Math.sqrt(3 / (1 + away));
    const ring = Math.floor(part * reach) + Math.floor((1 - part) * reach) + 1;  // from 1 at the nearer pole
    const column = Math.floor(turn * ring) % (4 * ring);
    return z > 0 ? 2 * ring * (ring - 1) + column : 12 * nside * nside - 2 * ring * (ring + 1) + column;
  }

  // Unit vector of the centre of a pixel.
  function centreOf(nside, pixel) {
    const total = 12 * nside * nside, cap = 2 * nside * (nside - 1);
    const south = pixel >= total - cap;
    let z, azimuth;
    if (pixel < cap || south) {
      const nth = south ? total - 1 - pixel : pixel;
      const ring = (1 + Math.floor(Math.sqrt(1 + 2 * nth))) >> 1;
      const column = nth - 2 * ring * (ring - 1);
      z = 1 - ring * ring / (3 * nside * nside);
      azimuth = ((south ? 4 * ring - 1 - column : column) + 0.5) * Math.PI / (2 * ring);
    } else {
      const ring = Math.floor((pixel - cap) / (4 * nside)) + nside, column = (pixel - cap) % (4 * nside);
      z = 2 * (2 * nside - ring) / (3 * nside);
      azimuth = (column + ((ring + nside) & 1 ? 0 : 0.5)) * Math.PI / (2 * nside);
    }
    const across = Math.sqrt((1 - z) * (1 + z)), height = south ? -z : z;
    return [across * Math.cos(azimuth), across * Math.sin(azimuth), height];
  }

  return { pixelOf, centreOf };
})();
