"use strict";
// Two views of the sphere from its centre.  View vectors: first axis towards the middle of the map, second towards
// growing longitude, third north.  Plane coordinates are true to scale (1 = 1 rad) in the middle; the first grows with
// longitude, which the page draws to the left.  Equations: Calabretta & Greisen 2002, A&A 395, 1077, section 5.
const Projection = (() => {
  const hammer = {
    // Equal-area ellipse of the whole sphere: a zenithal equal-area map of half the longitude.
    widest: 360,
    halfWidth: (fov) => 4 * Math.sin(fov / 8),  // plane coordinate of the edge of a view `fov` rad wide
    toSphere(p, q, out) {
      const r = p * p / 4 + q * q;
      if (r > 2 + 1e-12) return false;  // the poles lie on the edge
      const root = Math.sqrt(1 - r / 4), half = 1 - r / 2, side = p / 2 * root;
      const across = Math.sqrt(half * half + side * side);
      out[2] = q * root;
      if (across === 0) { out[0] = out[1] = 0; return true; }
      out[0] = (half - side) * (half + side) / across;
      out[1] = 2 * half * side / across;
      return true;
    },
    toPlane(x, y, z, out) {
      const across = Math.hypot(x, y);
      const cosine = across > 0 ? x / across : 1;
      const near = Math.sqrt(Math.max(0, (1 + cosine) / 2));
      const far = across > 0 && cosine > 0 ? Math.abs(y) / across / (2 * near) : Math.sqrt(Math.max(0, (1 - cosine) / 2));
      const scale = Math.SQRT2 / Math.sqrt(1 + across * near);
      out[0] = 2 * scale * across * (y < 0 ? -far : far);
      out[1] = scale * z;
      return true;
    },
  };
  const gnomonic = {
    // Tangent plane: great circles are straight lines.
    widest: 100,
    halfWidth: (fov) => Math.tan(fov / 2),
    toSphere(p, q, out) {
      const norm = 1 / Math.sqrt(1 + p * p + q * q);
      out[0] = norm; out[1] = p * norm; out[2] = q * norm;
      return true;
    },
    toPlane(x, y, z, out) {
      if (x < 0.05) return false;
      out[0] = y / x; out[1] = z / x;
      return true;
    },
  };

  // Rows: the axes of the view in the frame, for a middle at (lon, lat) rad.
  function basis(lon, lat) {
    const cl = Math.cos(lon), sl = Math.sin(lon), cb = Math.cos(lat), sb = Math.sin(lat);
    return [cb * cl, cb * sl, sb, -sl, cl, 0, -sb * cl, -sb * sl, cb];
  }
  const times = (m, v) => [0, 3, 6].map((k) => m[k] * v[0] + m[k + 1] * v[1] + m[k + 2] * v[2]);
  const turned = (m) => [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]];
  const product = (a, b) => turned([0, 1, 2].flatMap((k) => times(a, [b[k], b[k + 3], b[k + 6]])));
  const vector = (lon, lat) => [Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat)];
  const angles = (v) => [Math.atan2(v[1], v[0]), Math.atan2(v[2], Math.hypot(v[0], v[1]))];

  return { hammer, gnomonic, basis, times, turned, product, vector, angles };
})();
